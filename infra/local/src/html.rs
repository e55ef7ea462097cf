//! The pages that a local server shows to people: one frame, and no resource of another server.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

/// The style sheet of all pages.
const STYLE: &str = "
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 32rem; margin: 12vh auto; padding: 0 1rem }
  h1 { font-size: 1.4rem; margin-bottom: .25rem }
  .note { border-left: 3px solid #d97706; padding-left: .75rem; font-size: .9rem }
  .bad { color: #dc2626 }
  label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
  input { margin: .25rem 0 1rem; padding: .5rem }
  button { padding: .6rem; border: 0; border-radius: .3rem; background: #1d4ed8; color: #fff; cursor: pointer }
  code { overflow-wrap: anywhere }
";

/// Returns a page with the headers that keep it from being cached, framed or scripted.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let headers = [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    let page = format!(
        "<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content=\"width=device-width\">
<title>{title}</title>
<style>{STYLE}</style>
{body}
</html>
"
    );
    (status, headers, Html(page)).into_response()
}

/// Escapes text for an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
