//! The two pages of the issuer: the sign-in form, and the page for a request that cannot be
//! granted.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

/// The style sheet of both pages.
const STYLE: &str = "
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 24rem; margin: 12vh auto; padding: 0 1rem }
  h1 { font-size: 1.4rem; margin-bottom: .25rem }
  .note { border-left: 3px solid #d97706; padding-left: .75rem; font-size: .9rem }
  .bad { color: #dc2626 }
  label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
  input { margin: .25rem 0 1rem; padding: .5rem }
  button { padding: .6rem; border: 0; border-radius: .3rem; background: #1d4ed8; color: #fff; cursor: pointer }
  code { overflow-wrap: anywhere }
";

/// Returns the page that asks for a name. Its form has no action, so it is sent to the page's own
/// URL, whose query is the authorization request. `bad` says that the name that was typed is
/// invalid.
pub(super) fn sign_in(status: StatusCode, client: &str, goes_to: &str, name: &str, bad: bool) -> Response {
    let (client, goes_to, name) = (escape(client), escape(goes_to), escape(name));
    let complaint = match bad {
        true => "<p class=bad role=alert>Letters, digits, dots, hyphens and underscores, at most 64.</p>",
        false => "",
    };
    let body = format!(
        "<h1>Sign in to Eko</h1>
<p class=note>This is a <strong>development issuer</strong>. It has no passwords: whoever types a name is that
person. Never expose it to others.</p>
<form method=post>
{complaint}<label for=name>Name</label>
<input id=name name=name value=\"{name}\" required maxlength=64 autofocus autocapitalize=none autocomplete=off>
<button>Continue</button>
</form>
<p><small>For <code>{client}</code>, which continues at <code>{goes_to}</code></small></p>"
    );
    html(status, &body)
}

/// Returns the page that says why the sign-in cannot go on.
pub(super) fn refused(why: &str) -> Response {
    let why = escape(why);
    html(StatusCode::BAD_REQUEST, &format!("<h1>This sign-in cannot go on</h1>\n<p>{why}</p>"))
}

/// Returns a page with the headers that keep it from being cached, framed or scripted.
fn html(status: StatusCode, body: &str) -> Response {
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
<title>Eko development sign-in</title>
<style>{STYLE}</style>
{body}
</html>
"
    );
    (status, headers, Html(page)).into_response()
}

/// Escapes text for an element or a quoted attribute.
fn escape(text: &str) -> String {
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
