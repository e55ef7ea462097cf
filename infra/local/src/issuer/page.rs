//! The two pages of the issuer: the sign-in form, and the page for a request that cannot be
//! granted.

use axum::http::StatusCode;
use axum::response::Response;

use crate::html::{escape, page};

/// The title of both pages.
const TITLE: &str = "Eko development sign-in";

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
    page(status, TITLE, &body)
}

/// Returns the page that says why the sign-in cannot go on.
pub(super) fn refused(why: &str) -> Response {
    let why = escape(why);
    page(StatusCode::BAD_REQUEST, TITLE, &format!("<h1>This sign-in cannot go on</h1>\n<p>{why}</p>"))
}
