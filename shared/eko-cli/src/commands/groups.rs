//! `eko groups`: shows and changes the groups that this device knows.

mod change;
mod invited;

use clap::{Args, Subcommand};
use eko_client::group::LeaveDecision;
use eko_client::messenger::Group;
use eko_client::store::EndedGroup;
use serde_json::{Value, json};

use crate::context::{Context, HttpMessenger};
use crate::delivery::{WAIT_S, has_admin, is_deleted};
use crate::failure::CommandFailure;
use crate::listener;
use crate::partial_handle::PartialHandle;
use crate::people::{beginning, group, group_argument, left_with_groups, named, named_or_you, short};
use change::ChangeCommand;

const MORE: &str = "\
A group exists on its members' devices only: no server knows of it. Your devices keep your groups at \
your server, sealed so that only they can read them: a new device of yours has them as soon as it \
was approved. Each change is sent to every member like a message. Only admins can change more than their own membership. A member who is removed \
is not told, and cannot read later messages. Whoever is added is invited, and joins or declines. Until \
somebody has joined, nothing says that your messages reach them.

NAME is the group's name, or the beginning of its id.

Examples:
  eko groups create Friday @bob @carol@chat.example
  eko groups add Friday @dave
  eko groups promote Friday @bob
  eko groups join Friday
  eko send --group Friday 'When shall we three meet again?'
  eko groups leave Friday";

/// The options of `eko groups`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct GroupsArgs {
    #[command(subcommand)]
    command: Option<GroupsCommand>,
    /// The time to go on trying if a server is out of reach or asks to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = WAIT_S, global = true)]
    wait: u64,
}

#[derive(Debug, Subcommand)]
enum GroupsCommand {
    /// List your groups, the invitations to others, and what is held; `eko groups` alone does the same
    List {
        /// Also list the groups that you have left or were removed from, and those that a reset of your
        /// account has ended
        #[arg(long)]
        all: bool,
    },
    /// Show one group
    Show {
        /// The group's name, or the beginning of its id
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Decline an invitation; nobody is told
    Decline {
        /// The group's name, or the beginning of its id
        #[arg(value_name = "NAME")]
        name: String,
        /// Decline the invitation of this person only
        #[arg(long, value_name = "WHO")]
        by: Option<PartialHandle>,
    },
    #[command(flatten)]
    Change(ChangeCommand),
}

impl GroupsArgs {
    fn shows_invitations(&self) -> bool {
        match &self.command {
            None | Some(GroupsCommand::List { .. } | GroupsCommand::Decline { .. }) => true,
            Some(GroupsCommand::Change(change)) => matches!(change, ChangeCommand::Join { .. }),
            Some(GroupsCommand::Show { .. }) => false,
        }
    }

    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, client) = match &self.command {
            None | Some(GroupsCommand::List { .. } | GroupsCommand::Show { .. }) => context.client()?,
            Some(_) => context.acting_client().await?,
        };
        // An invitation may wait in the mailbox.
        if self.shows_invitations() {
            listener::look(context, &account, &client).await?;
        }
        match &self.command {
            None | Some(GroupsCommand::List { .. }) => {
                let all = matches!(self.command, Some(GroupsCommand::List { all: true }));
                for group in client.groups()?.into_iter().filter(|group| all || group.member) {
                    context.out.result(&summary(&client, &group), &object(&client, &group))?;
                }
                if all {
                    list_ended(context, &client)?;
                }
                invited::list(context, &client)
            }
            Some(GroupsCommand::Decline { name, by }) => {
                invited::decline(context, &client, name, by.as_ref()).await
            }
            Some(GroupsCommand::Show { name }) => {
                if group(&client, name).is_err() && invited::show(context, &client, name)? {
                    return Ok(());
                }
                let group = group(&client, name)?;
                context.out.result(&details(&client, &group), &object(&client, &group))
            }
            Some(GroupsCommand::Change(command)) => change::run(context, client, command, self.wait).await,
        }
    }
}

/// The user's own part in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Membership {
    Admin,
    Member,
    /// The user has left, or was removed.
    Former,
}

impl Membership {
    fn of(client: &HttpMessenger, group: &Group) -> Self {
        match (group.member, group.state.admins().contains(&client.me().actor())) {
            (true, true) => Self::Admin,
            (true, false) => Self::Member,
            (false, _) => Self::Former,
        }
    }

    /// Returns the word for it in JSON.
    fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Former => "none",
        }
    }
}

fn members(client: &HttpMessenger, group: &Group) -> Vec<String> {
    let admins = group.state.admins();
    let member = |actor: &String| {
        let is_deleted = is_deleted(client, actor);
        let notes = [
            (admins.contains(actor), "admin"),
            (is_deleted, "account deleted"),
            (!is_deleted && group.unconfirmed.contains(actor), "not heard of in this group yet"),
        ];
        let notes: Vec<_> = notes.into_iter().filter_map(|(is, note)| is.then_some(note)).collect();
        match notes.is_empty() {
            true => named_or_you(client, actor),
            false => format!("{} ({})", named_or_you(client, actor), notes.join(", ")),
        }
    };
    group.state.members().iter().map(member).collect()
}

/// Returns a group as an entry of the list.
fn summary(client: &HttpMessenger, group: &Group) -> String {
    let state = &group.state;
    let you = match Membership::of(client, group) {
        Membership::Admin => "you are an admin",
        Membership::Member => "you are a member",
        Membership::Former => "you are not in it any more",
    };
    let warnings = warnings(client, group, "    ");
    let head = format!("{}  {}  epoch {}, {you}{warnings}", state.name(), short(state.id()), state.epoch());
    match members(client, group).join(", ") {
        nobody if nobody.is_empty() => head,
        members => format!("{head}\n    {members}"),
    }
}

/// Lists the groups that a reset of the account has ended for the user, or that a move has left behind, and that
/// nobody has brought them into since.
fn list_ended(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let known = client.groups()?;
    let (ended, left) = (client.ended_groups()?.into_iter(), left_with_groups(client)?);
    for (id, EndedGroup { name, member }) in
        ended.filter(|(id, _)| !known.iter().any(|group| group.state.id().as_str() == id))
    {
        let you = match (&left, member) {
            (Some(left), true) => {
                format!("{}, which you have left, is in it: ask an admin to add this account", left.handle())
            }
            (Some(left), false) => format!("{}, which you have left, was not in it any more", left.handle()),
            (None, true) => "a reset of your account has ended your membership".to_owned(),
            (None, false) => "you were not in it any more when your account was reset".to_owned(),
        };
        let object = json!({
            "type": "group", "id": id, "name": name, "member": false, "you": Membership::Former.word(),
            "endedByReset": left.is_none(), "leftByMove": left.is_some(),
        });
        context.out.result(&format!("{name}  {}  {you}", beginning(&id)), &object)?;
    }
    Ok(())
}

/// Returns all about a group, on several lines.
fn details(client: &HttpMessenger, group: &Group) -> String {
    let state = &group.state;
    let you = match Membership::of(client, group) {
        Membership::Admin => "admin",
        Membership::Member => "member",
        Membership::Former => "not in it any more",
    };
    let warnings = warnings(client, group, "  ");
    format!(
        "{}\n  id       {}\n  epoch    {}\n  you      {you}\n  members  {}{warnings}",
        state.name(),
        state.id(),
        state.epoch(),
        members(client, group).join("\n           ")
    )
}

/// Returns what the user has to know of the group and perhaps to do, each with an indent.
fn warnings(client: &HttpMessenger, group: &Group, indent: &str) -> String {
    let conflict = group.conflict.as_ref().map(|by| {
        let by = named(client, by);
        format!(
            "BEWARE: {by} has another history of this group than this device; eko groups lists it if it is here"
        )
    });
    let stays = (group.leaves == LeaveDecision::LastAdmin).then(|| {
        let typed = group_argument(client, group.state.id().as_str());
        format!(
            "you have left, but are its only admin, and stay until there is another: eko groups promote {typed} \
             WHO"
        )
    });
    let is_orphan = group.member && !has_admin(client, group);
    let orphan = is_orphan.then(|| {
        "no admin of it is left, so that nobody can change it: eko groups create NAME @WHOM begins a new one"
            .to_owned()
    });
    conflict.into_iter().chain(stays).chain(orphan).map(|warning| format!("\n{indent}{warning}")).collect()
}

/// Returns a group as a JSON object of the type `group`, without its key.
pub(super) fn object(client: &HttpMessenger, group: &Group) -> Value {
    let state = &group.state;
    json!({
        "type": "group", "id": state.id(), "name": state.name(), "epoch": state.epoch(), "members": state.members(),
        "admins": state.admins(), "member": group.member, "you": Membership::of(client, group).word(),
        "unconfirmed": group.unconfirmed, "conflict": group.conflict,
        "stays": group.leaves == LeaveDecision::LastAdmin,
        "deleted": state.members().iter().filter(|it| is_deleted(client, it)).collect::<Vec<_>>(),
    })
}
