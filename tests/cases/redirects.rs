//! Redirects: which are followed, which are refused, and what goes along.

use super::fetch::{Fetch, RESUMABLE_BYTES, for_each_at_once};
use crate::origin::{Answer, At, Certificate, End, Fault, File, On, Origin};

const SIZE_BYTES: u64 = 3000;

#[test]
fn every_kind_of_redirect_leads_to_the_file() {
    let origin = Origin::start();
    let content = origin.file("/dir/f", File::seeded(1, SIZE_BYTES));
    let absolute = origin.url("/dir/f");
    let schemeless = absolute.strip_prefix("http:").unwrap();
    let cases: Vec<_> = [301, 302, 303, 307, 308]
        .into_iter()
        .flat_map(|status| ["/dir/f", "f", "./f", "../dir/f", schemeless, &absolute].map(|location| (status, location)))
        .enumerate()
        .collect();
    for_each_at_once(&cases, |(number, (status, location))| {
        let path = format!("/dir/{number}");
        origin.redirect(&path, *status, location);
        println!("{status} {location}");
        Fetch::new(&origin.url(&path)).run_to(content);
    });
}

#[test]
fn ten_redirects_are_followed_and_an_eleventh_is_not() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    let first = origin.redirect_chain(10, "/f");
    Fetch::new(&origin.url(&first)).run_to(content);
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, SIZE_BYTES));
    let first = origin.redirect_chain(11, "/f");
    Fetch::new(&origin.url(&first)).run_to_error("redirect_refused");
    assert!(origin.log_of("/f").is_empty());
    assert!(origin.log().len() <= 11, "a refused redirect is not tried again: {:#?}", origin.log());
}

#[test]
fn redirects_that_lead_nowhere_are_refused() {
    let origin = Origin::start();
    let port = origin.address().port();
    let none = |location: &str| (302, Some(location.to_owned()));
    let cases: Vec<_> = [
        none("/0"),
        none("file:///etc/passwd"),
        none("ftp://127.0.0.1/f"),
        none("data:,x"),
        none("javascript:1"),
        none("gopher://127.0.0.1/f"),
        none("http://"),
        none("http://[::1"),
        none("http://127.0.0.1:99999/f"),
        none(&format!("unix:/run/x:{port}")),
        (302, None),
        (300, None),
        (305, Some("/f".to_owned())),
    ]
    .into_iter()
    .enumerate()
    .collect();
    for_each_at_once(&cases, |(number, (status, location))| {
        let path = format!("/{number}");
        let answer = Answer::error(*status);
        origin.fixed(&path, location.iter().fold(answer, |answer, location| answer.with("Location", location)));
        println!("{status} {location:?}");
        let code = if *status == 302 { "redirect_refused" } else { "http" };
        Fetch::new(&origin.url(&path)).patience("1").run_to_error(code);
    });
}

#[test]
fn https_is_not_left_for_http() {
    let (plain, tls) = (Origin::start(), Origin::start_tls(Certificate::Good));
    plain.file("/f", File::seeded(1, SIZE_BYTES));
    tls.redirect("/f", 302, &plain.url("/f"));
    Fetch::new(&tls.url("/f")).trusting(&tls).run_to_error("redirect_refused");
    assert_eq!(plain.connections(), 0, "not even a connection is made");
}

#[test]
fn http_may_be_left_for_https() {
    let (plain, tls) = (Origin::start(), Origin::start_tls(Certificate::Good));
    let content = tls.file("/f", File::seeded(1, SIZE_BYTES));
    plain.redirect("/f", 302, &tls.url("/f"));
    Fetch::new(&plain.url("/f")).trusting(&tls).run_to(content);
}

#[test]
fn headers_and_credentials_stay_with_their_origin() {
    let (first, second) = (Origin::start(), Origin::start());
    let content = second.file("/f", File::seeded(1, SIZE_BYTES));
    first.redirect("/start", 302, "/same");
    first.redirect("/same", 302, &second.url("/f"));
    let url = first.url("/start").replace("http://", "http://user:canary-password@");
    let fetch = Fetch::new(&url).with([
        "-H",
        "X-Api-Key: canary-header",
        "-H",
        "Authorization: Bearer canary-token",
        "-H",
        "Cookie: canary=1",
    ]);
    let finished = fetch.run_to(content);
    for row in first.log() {
        assert_eq!(row.request.header("x-api-key"), Some("canary-header"), "{row:#?}");
    }
    for row in second.log() {
        let sent = format!("{:?}", row.request.headers);
        assert!(!sent.contains("canary"), "{sent}");
        assert!(!sent.to_lowercase().contains("authorization"), "{sent}");
    }
    assert!(!finished.output().contains("canary"), "{finished}");
}

#[test]
fn a_way_back_does_not_bring_the_headers_back() {
    let (first, second) = (Origin::start(), Origin::start());
    let content = first.file("/f", File::seeded(1, SIZE_BYTES));
    first.redirect("/start", 302, &second.url("/back"));
    second.redirect("/back", 302, &first.url("/f"));
    Fetch::new(&first.url("/start")).with(["-H", "X-Api-Key: canary-header"]).run_to(content);
    assert_eq!(first.log_of("/start")[0].request.header("x-api-key"), Some("canary-header"));
    assert_eq!(first.log_of("/f")[0].request.header("x-api-key"), None);
}

#[test]
fn a_location_with_credentials_does_not_send_them_on() {
    let (first, second) = (Origin::start(), Origin::start());
    let content = second.file("/f", File::seeded(1, SIZE_BYTES));
    first.redirect("/start", 302, &second.url("/f").replace("http://", "http://user:canary@"));
    let finished = Fetch::new(&first.url("/start")).patience("1").run_to_right_or_nothing(content);
    assert!(second.log().iter().all(|row| row.request.header("authorization").is_none()), "{:#?}", second.log());
    assert!(!finished.output().contains("canary"), "{finished}");
}

#[test]
fn a_mirror_that_a_policy_chose_gets_no_headers_of_the_job() {
    let (home, mirror) = (Origin::start(), Origin::start());
    let content = mirror.file("/f", File::seeded(1, SIZE_BYTES));
    home.fixed("/f", Answer::error(404));
    let settings = serde_json::json!({ "mirrors": [home.url("/"), mirror.url("/")] }).to_string();
    let fetch = Fetch::new(&home.url("/f")).with(["--policy", "mirrors", "--settings", &settings]);
    let finished = fetch.with(["-H", "X-Api-Key: canary-header"]).run_to(content);
    assert_eq!(home.log_of("/f")[0].request.header("x-api-key"), Some("canary-header"));
    let sent = format!("{:?}", mirror.log_of("/f")[0].request.headers);
    assert!(!sent.contains("canary"), "{sent}");
    assert!(!finished.output().contains("canary"), "{finished}");
}

#[test]
fn a_resume_begins_at_the_original_address() {
    let origin = Origin::start();
    let old = origin.file("/old", File::seeded(1, RESUMABLE_BYTES));
    let new = origin.file("/new", File::seeded(1, RESUMABLE_BYTES));
    assert_eq!(old, new);
    origin.redirect("/start", 302, "/old");
    origin.fixed_from("/start", 2, Answer::redirect(302, "/new"));
    origin.fault("/old", On::Every, Fault::Cut(At::Body(100_000), End::Fin));
    Fetch::new(&origin.url("/start")).run_to(new);
    let asked: Vec<_> = origin.log().iter().map(|row| (row.path().to_owned(), row.first_byte())).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!((asked[2].0.as_str(), asked[3].0.as_str()), ("/start", "/new"));
    assert_eq!(asked[3].1, 100_000, "{asked:?}");
}
