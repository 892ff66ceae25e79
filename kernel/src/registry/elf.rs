//! The headers of an ELF file, as far as loading it depends on them.
//!
//! The dynamic linker maps what the program headers name and touches it: bytes past the end of the
//! file would end the process with SIGBUS, so a file that was cut short is found out here. The
//! names are those of the System V ABI, chapters 4 and 5.

/// `e_type` of a shared object.
const ET_DYN: u16 = 3;
/// `p_type` of a part that is mapped.
const PT_LOAD: u32 = 1;
/// `p_type` of the name of a program's interpreter.
const PT_INTERP: u32 = 3;

/// Sizes of a file header, a program header and a section header of 64 bits.
const EHDR: usize = 64;
const PHDR: u64 = 56;
const SHDR: u64 = 64;

/// Whether `bytes` are a whole shared library for the machine with that `e_machine`.
///
/// # Errors
/// Why not, as the end of a sentence.
pub(super) fn check(bytes: &[u8], machine: u16) -> Result<(), &'static str> {
    const CUT: &str = "it is cut short or damaged: its headers name what lies past its end";
    if bytes.len() < EHDR || !bytes.starts_with(b"\x7fELF") {
        return Err("it is no shared library (no ELF header)");
    }
    // EI_CLASS 2 is 64 bits, EI_DATA 1 little endian.
    if bytes[4] != 2 || bytes[5] != 1 || half(bytes, 18) != Some(machine) {
        return Err("it was built for another machine");
    }
    if half(bytes, 16) != Some(ET_DYN) {
        return Err(NOT_A_LIBRARY);
    }
    let len = bytes.len() as u64;
    let table = |at: u64, size: u64, count: u16, expected: u64| {
        let end = at.checked_add(size.checked_mul(u64::from(count))?)?;
        (count == 0 || (size == expected && end <= len)).then_some(())
    };
    let phoff = word(bytes, 32).ok_or(CUT)?;
    let shoff = word(bytes, 40).ok_or(CUT)?;
    let counts = || Some((half(bytes, 54)?, half(bytes, 56)?, half(bytes, 58)?, half(bytes, 60)?));
    let (phentsize, phnum, shentsize, shnum) = counts().ok_or(CUT)?;
    table(phoff, phentsize.into(), phnum, PHDR).ok_or(CUT)?;
    table(shoff, shentsize.into(), shnum, SHDR).ok_or(CUT)?;
    for number in 0..u64::from(phnum) {
        let at = usize::try_from(phoff + number * PHDR).map_err(|_| CUT)?;
        let kind = bytes.get(at..at + 4).and_then(|kind| kind.try_into().ok());
        match kind.map(u32::from_le_bytes) {
            Some(PT_INTERP) => return Err(NOT_A_LIBRARY),
            Some(PT_LOAD) => {
                let (offset, filesz) = (word(bytes, at + 8), word(bytes, at + 32));
                let end = offset.zip(filesz).and_then(|(offset, size)| offset.checked_add(size));
                end.filter(|end| *end <= len).ok_or(CUT)?;
            }
            _ => {}
        }
    }
    Ok(())
}

const NOT_A_LIBRARY: &str = "it is a program or an object file, not a shared library; build it with crate-type = [\"cdylib\"]";

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library of one part that is the whole file.
    fn library() -> Vec<u8> {
        let mut bytes = vec![0; 200];
        let mut put = |at: usize, with: &[u8]| bytes[at..at + with.len()].copy_from_slice(with);
        put(0, b"\x7fELF\x02\x01");
        put(16, &ET_DYN.to_le_bytes());
        put(18, &62_u16.to_le_bytes());
        put(32, &64_u64.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &1_u16.to_le_bytes());
        put(64, &PT_LOAD.to_le_bytes());
        put(64 + 32, &200_u64.to_le_bytes());
        bytes
    }

    #[test]
    fn a_whole_library_passes_and_none_of_its_beginnings_does() {
        let whole = library();
        assert_eq!(check(&whole, 62), Ok(()));
        for len in 0..whole.len() {
            assert!(check(&whole[..len], 62).is_err(), "{len}");
        }
    }

    #[test]
    fn headers_that_lie_are_refused_and_never_overflow() {
        for at in (0..120).filter(|at| !(6..16).contains(at)) {
            let mut bytes = library();
            bytes[at..at + 8].fill(0xff);
            let _ = check(&bytes, 62);
        }
        for (at, with, word) in [
            (32, &[0xff; 8][..], "cut short"),
            (40, &[0xff; 8], ""),
            (56, &[0xff, 0xff], "cut short"),
            (64 + 8, &[0xff; 8], "cut short"),
            (64 + 32, &[201], "cut short"),
            (16, &[2], "program"),
            (64, &[3], "program"),
            (18, &[183], "another machine"),
            (5, &[2], "another machine"),
        ] {
            let mut bytes = library();
            bytes[at..at + with.len()].copy_from_slice(with);
            let refused = check(&bytes, 62).err().unwrap_or_default();
            assert!(refused.contains(word), "{at}: {refused}");
        }
    }
}
