//! Apps written for other runtimes run unchanged: `tests/frameworks`.

use crate::cell::Cell;

const HONO: &str = include_str!("../frameworks/hono.js");
const ITTY: &str = include_str!("../frameworks/itty.js");

#[test]
fn an_app_written_for_hono_runs() {
    let mut cell = Cell::new(&[("api/main.js", HONO)]);
    assert_eq!(cell.get("/api").text(), "Hono");
    assert_eq!(cell.get("/api/hello/w%C3%B6rld?q=1").text(), r#"{"name":"wörld","q":"1"}"#);
    let json = "content-type\napplication/json\n";
    let echo = cell.request("POST", "/api/echo", json, b"{\"a\":[1]}");
    assert_eq!((echo.status, echo.text().as_str()), (201, r#"{"a":[1]}"#));
    let form = "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\nv\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nx\r\n--b--\r\n";
    let kind = "content-type\nmultipart/form-data; boundary=b\n";
    let posted = cell.request("POST", "/api/form", kind, form.as_bytes());
    assert_eq!(posted.text(), r#"{"t":"v","f":"a.txt"}"#);
    assert_eq!(cell.get("/api/html").header("content-type"), Some("text/html; charset=UTF-8"));
    let cookie = cell.request("GET", "/api/cookie", "cookie\nb=2; c=3\n", b"");
    assert_eq!(cookie.text(), "2");
    assert_eq!(cookie.header("set-cookie"), Some("a=1; Path=/; HttpOnly"));
    let moved = cell.get("/api/redirect");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/api/")));
    assert_eq!(cell.get("/api/cors/x").header("access-control-allow-origin"), Some("*"));
    assert_eq!(cell.get("/api/admin/x").status, 401);
    let admin = cell.request("GET", "/api/admin/x", "authorization\nBasic YTpi\n", b"");
    assert_eq!(admin.text(), "admin");
    assert_eq!(cell.get("/api/stream").text(), "ab");
    let teapot = cell.get("/api/fail");
    assert_eq!((teapot.status, teapot.text().as_str()), (418, "teapot"));
    let nowhere = cell.get("/api/nowhere");
    assert_eq!((nowhere.status, nowhere.text().as_str()), (404, "nowhere"));
}

#[test]
fn an_app_written_for_itty_router_runs() {
    let mut cell = Cell::new(&[("api/main.js", ITTY)]);
    assert_eq!(cell.get("/api/todos/7?q=x").text(), r#"{"id":"7","q":"x"}"#);
    let json = "content-type\napplication/json\n";
    let made = cell.request("POST", "/api/todos", json, b"{\"a\":1}");
    assert_eq!((made.status, made.text().as_str()), (201, r#"{"a":1}"#));
    assert_eq!(cell.get("/api/error").text(), r#"{"status":400,"error":"bad"}"#);
    assert_eq!(cell.get("/api/throws").status, 500);
    assert_eq!(cell.get("/api/none").status, 404);
}
