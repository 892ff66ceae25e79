//! Whatever a client asks for lies in the file.
#![no_main]

use fazt_hosting::accept::{Accepted, Sizes, prefers_markdown};
use fazt_hosting::conditional::{Answer, Conditions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Option<&[u8]>, Option<&[u8]>, Option<&[u8]>, &[u8], u64)| {
    let (if_none_match, if_range, range, accept, length) = input;
    let conditions = Conditions { if_none_match, if_range, range };
    match conditions.answer("\"tag\"", length) {
        Answer::Partial(range) => assert!(range.first() <= range.last() && range.last() < length),
        Answer::Several(ranges) => {
            assert!(ranges.as_slice().iter().all(|range| range.last() < length));
            assert!(ranges.as_slice().is_sorted_by(|one, next| one.last() < next.first()));
        }
        Answer::Full | Answer::NotModified | Answer::Unsatisfiable => {}
    }
    let _: bool = prefers_markdown(accept);
    let sizes = Sizes { identity: 3, brotli: Some(1), zstd: None, gzip: Some(2) };
    let _ = Accepted::parse(accept).choose(&sizes);
});
