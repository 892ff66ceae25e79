//! `secret set`: a value that stands on no command line and is never shown.

use crate::home::{Home, site};

#[test]
fn a_secret_comes_from_standard_input_with_its_terms_and_is_never_shown() {
    let mut home = Home::new();
    site(&home.path("site"), "x");
    let mut init = home.command("server init --db a.db --username ada --password correct-horse");
    assert!(init.output().unwrap().status.success());
    let mut deploy = home.command("app deploy site --name blog --db a.db");
    assert!(deploy.output().unwrap().status.success());
    let words = "secret set blog MAIL_KEY --host api.example.com --header X-Api-Key --db a.db";
    home.types_with(words, "canary\nof two lines\n");
    home.types_with("secret set blog PLAIN --db a.db", "canary");
    home.types("secret list blog --db a.db");
    // Nothing on standard input, two places, a host that is none, a value where none belongs.
    home.types_with("secret set blog EMPTY --db a.db", "");
    home.types_with("secret set blog TWO --basic --header X-Key --db a.db", "canary");
    home.types_with("secret set blog HOST --host *.com --db a.db", "canary");
    home.types_with("secret set blog LOUD canary --db a.db", "canary");
    home.golden.check("secrets");
}
