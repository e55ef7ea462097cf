//! `eko history`: shows the messages of the past.

use clap::Args;

use crate::context::Context;
use crate::failure::CommandFailure;
use crate::people::Correspondent;
use crate::show;

/// The options of `eko history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The person: @bob, @bob@chat.example; or with --group the name of a group [default:
    /// everybody]
    #[arg(value_name = "WITH")]
    with: Option<String>,
    /// WITH is a group
    #[arg(long, short, requires = "with")]
    group: bool,
    /// The number of messages, counted from the last
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50)]
    last: u32,
}

impl HistoryArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.client()?;
        let conversation = match &self.with {
            Some(with) => Some(Correspondent::find(&client, with, self.group).await?.conversation()),
            None => None,
        };
        for message in client.history(conversation.as_deref(), self.last)? {
            context.out.result(&show::message(&client, &message), &show::message_object(&message))?;
        }
        Ok(())
    }
}
