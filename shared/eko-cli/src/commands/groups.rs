//! `eko groups`: the groups that this device knows, and changes of them.

mod change;

use clap::{Args, Subcommand};
use eko_client::messenger::Group;
use serde_json::{Value, json};

use crate::context::{Client, Context};
use crate::delivery::WAIT_S;
use crate::failure::Failure;
use crate::people::{group, named, short};
use crate::who::Who;

const MORE: &str = "\
A group lives on its members' devices: no server knows of it. Each change goes to every member as a message does, and only
admins may change more than their own membership. Who is removed is not told, and reads nothing that is said afterwards.

NAME is the group's name, or the beginning of its id.

Examples:
  eko groups create Friday @bob @carol@chat.example
  eko groups add Friday @dave
  eko groups promote Friday @bob
  eko send --group Friday 'When shall we three meet again?'
  eko groups leave Friday";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Groups {
    #[command(subcommand)]
    command: Option<Command>,
    /// How long to try, where a server is out of reach or asks to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = WAIT_S, global = true)]
    wait: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them; what `eko groups` does
    List,
    /// Show one
    Show {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
    },
    /// Begin one, as its admin
    Create {
        /// What it is called
        #[arg(value_name = "NAME")]
        name: String,
        /// Who is in it besides you: @bob, @bob@chat.example
        #[arg(value_name = "WHO", required = true)]
        members: Vec<Who>,
    },
    /// Add people
    Add {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        /// Whom: @bob, @bob@chat.example
        #[arg(value_name = "WHO", required = true)]
        members: Vec<Who>,
    },
    /// Remove people, and change the group's key
    Remove {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        /// Whom: @bob, @bob@chat.example
        #[arg(value_name = "WHO", required = true)]
        members: Vec<Who>,
    },
    /// Call it otherwise
    Rename {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        /// The new name
        #[arg(value_name = "NEW")]
        new: String,
    },
    /// Make members admins
    Promote {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        /// Whom: @bob, @bob@chat.example
        #[arg(value_name = "WHO", required = true)]
        members: Vec<Who>,
    },
    /// Leave it
    Leave {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
    },
}

const NAME: &str = "Its name, or the beginning of its id";

impl Groups {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (_, client) = context.client()?;
        match &self.command {
            None | Some(Command::List) => {
                for group in client.groups()? {
                    context.out.result(&listed(&client, &group), &object(&client, &group))?;
                }
                Ok(())
            }
            Some(Command::Show { name }) => {
                let group = group(&client, name)?;
                context.out.result(&shown(&client, &group), &object(&client, &group))
            }
            Some(command) => change::run(context, client, command, self.wait).await,
        }
    }
}

/// What this user is in a group.
fn place(client: &Client, group: &Group) -> &'static str {
    match (group.member, group.state.admins().contains(&client.me().actor())) {
        (true, true) => "admin",
        (true, false) => "member",
        (false, _) => "none",
    }
}

fn people(client: &Client, group: &Group) -> Vec<String> {
    let admins = group.state.admins();
    let member = |actor: &String| match admins.contains(actor) {
        true => format!("{} (admin)", named(client, actor)),
        false => named(client, actor),
    };
    group.state.members().iter().map(member).collect()
}

fn listed(client: &Client, group: &Group) -> String {
    let state = &group.state;
    let you = match place(client, group) {
        "admin" => "you are an admin",
        "member" => "you are a member",
        _ => "you are not in it any more",
    };
    let head = format!("{}  {}  epoch {}, {you}", state.name(), short(state.id()), state.epoch());
    match people(client, group).join(", ") {
        nobody if nobody.is_empty() => head,
        people => format!("{head}\n    {people}"),
    }
}

fn shown(client: &Client, group: &Group) -> String {
    let state = &group.state;
    let you = match place(client, group) {
        "none" => "not in it any more",
        place => place,
    };
    format!(
        "{}\n  id       {}\n  epoch    {}\n  you      {you}\n  members  {}",
        state.name(),
        state.id(),
        state.epoch(),
        people(client, group).join("\n           ")
    )
}

/// A group as an object, without its key.
pub(super) fn object(client: &Client, group: &Group) -> Value {
    let state = &group.state;
    json!({
        "type": "group", "id": state.id(), "name": state.name(), "epoch": state.epoch(), "members": state.members(),
        "admins": state.admins(), "member": group.member, "you": place(client, group),
    })
}
