//! `eko history`: what was said.

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::people::Whom;
use crate::show;

/// What clap reads.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// With whom: @bob, @bob@chat.example, or with --group the name of a group [default: everybody]
    #[arg(value_name = "WITH")]
    with: Option<String>,
    /// WITH is a group
    #[arg(long, short, requires = "with")]
    group: bool,
    /// How many messages, the last ones
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50)]
    last: u32,
}

impl History {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (_, client) = context.client()?;
        let conversation = match &self.with {
            Some(with) => Some(Whom::find(&client, with, self.group).await?.conversation()),
            None => None,
        };
        for message in client.history(conversation.as_deref(), self.last)? {
            context.out.result(&show::message(&client, &message), &show::message_object(&message))?;
        }
        Ok(())
    }
}
