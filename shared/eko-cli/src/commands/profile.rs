//! `eko profile`: the display name and the avatar of the user, and those of others.

use clap::Args;
use eko_client::messenger::Person;
use eko_protocol::Invalid;
use eko_protocol::profile::{DisplayName, Icon, PartChange};
use serde_json::json;

use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::partial_handle::PartialHandle;
use crate::people::{person, quoted};

const MORE: &str = "\
Everybody can read your name and your avatar, without an account. Nobody verifies what people call \
themselves, so eko shows it beside the handle, and no name may look like a handle. It looks at somebody's \
profile when you ask, and their server sees that somebody looks: so a name is shown as it was then, until you \
look again. It loads no pictures.

Somebody's handle may be at another domain than their server, as @me@example.org at chat.example.org. eko \
shows it once you have looked, if each of the two names the other.

Examples:
  eko profile                                        yours
  eko profile @bob
  eko profile --name 'Ada Lovelace' --avatar https://ada.example/me.png
  eko profile --no-name --no-avatar";

/// The options of `eko profile`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ProfileArgs {
    /// The person to look at: @bob, @bob@chat.example; without one, you
    #[arg(value_name = "WHO", conflicts_with_all = ["name", "no_name", "avatar", "no_avatar"])]
    who: Option<PartialHandle>,
    /// Call yourself so
    #[arg(long)]
    name: Option<String>,
    /// Show no name but your handle
    #[arg(long, conflicts_with = "name")]
    no_name: bool,
    /// Show the picture at this https URL
    #[arg(long, value_name = "URL")]
    avatar: Option<String>,
    /// The picture's media type, if its address does not end in .png, .jpg, .gif, .webp or .avif
    #[arg(long, value_name = "TYPE", requires = "avatar")]
    avatar_type: Option<String>,
    /// Show no picture
    #[arg(long, conflicts_with = "avatar")]
    no_avatar: bool,
}

impl ProfileArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (name, icon) = (self.name()?, self.icon()?);
        let (_, client) = context.active_client().await?;
        if (&name, &icon) != (&PartChange::Keep, &PartChange::Keep) {
            context.require_not_moved(&client)?;
            client.change_profile(name, icon).await?;
        }
        let whom = match &self.who {
            Some(who) => person(&client, who).await?,
            None => client.me(),
        };
        show(context, &client, &whom).await
    }

    fn name(&self) -> Result<PartChange<DisplayName>, CommandFailure> {
        Ok(match &self.name {
            None if self.no_name => PartChange::Remove,
            None => PartChange::Keep,
            Some(name) => PartChange::Set(DisplayName::parse(name).map_err(|fault| {
                let failure = wrong("--name", &fault);
                if name.trim().is_empty() { failure.next("eko profile --no-name") } else { failure }
            })?),
        })
    }

    fn icon(&self) -> Result<PartChange<Icon>, CommandFailure> {
        let Some(url) = &self.avatar else {
            return Ok(if self.no_avatar { PartChange::Remove } else { PartChange::Keep });
        };
        let media_type = self.avatar_type.as_deref().or_else(|| Icon::media_type_of(url));
        let icon = Icon::new(url, media_type.unwrap_or_default());
        icon.map(PartChange::Set).map_err(|fault| match fault.pointer.as_str() {
            "/mediaType" => wrong("--avatar-type", &fault),
            _ => wrong("--avatar", &fault),
        })
    }
}

/// Returns the failure of an option.
fn wrong(option: &str, fault: &Invalid) -> CommandFailure {
    CommandFailure::new(format!("{option} {}", fault.detail)).next("eko profile --help").exit(Exit::Usage)
}

/// Looks at the profile of a person, and shows it.
async fn show(context: &Context, client: &HttpMessenger, whom: &Person) -> Result<(), CommandFailure> {
    let profile = client.look_at_profile(whom).await?;
    let handle = client.handle_of(whom)?;
    let mut lines = vec![handle.to_string()];
    lines.extend(profile.name.as_ref().map(|name| format!("  name         {}", quoted(name))));
    lines.extend(profile.icon.as_ref().map(|icon| format!("  avatar       {}", icon.url())));
    if handle != whom.handle() {
        lines.push(format!("  at           {}", whom.origin));
    }
    let object = json!({
        "type": "profile", "actor": whom.actor(), "handle": handle.to_string(),
        "name": profile.name.as_ref().map(DisplayName::as_str),
        "icon": profile.icon.as_ref().map(Icon::to_value),
    });
    context.out.result(&lines.join("\n"), &object)
}
