//! The protocol: which tools there are, and which one a call is for.

use std::sync::Arc;

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::call::Waiter;
use crate::commands::{self, no_answer};
use crate::failure::Failure;
use crate::session::Session;
use crate::tools;
use crate::{copy, delete, files, job, launch, list};

/// The server of one client.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    session: Arc<Session>,
    tools: Arc<Vec<Tool>>,
}

impl Server {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self {
            tools: Arc::new(tools::tools(&session.options)),
            session,
        }
    }

    async fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<Answer, Failure> {
        let session = &self.session;
        let waiter = &Waiter::new(context, session);
        let soon = "asking the API";
        match name {
            "run" => commands::run(session, waiter, read(arguments)?).await,
            "exec" => commands::exec(session, waiter, read(arguments)?).await,
            "launch" => launch::launch(session, waiter, read(arguments)?).await,
            "job" => job::job(session, waiter, read(arguments)?).await,
            "files" => files::files(session, waiter, read(arguments)?).await,
            "copy" => copy::copy(session, waiter, read(arguments)?).await,
            "delete" => {
                let args: tools::DeleteArgs = read(arguments)?;
                let deleted = delete::delete(session, &args.vm);
                waiter
                    .wait_for(soon, deleted)
                    .await?
                    .ok_or_else(no_answer)?
            }
            _ => {
                let tools::ListArgs {} = read(arguments)?;
                waiter
                    .wait_for(soon, list::list(session))
                    .await?
                    .ok_or_else(no_answer)?
            }
        }
    }
}

/// Reads the arguments of a call. Those that are null count as absent.
fn read<T: DeserializeOwned>(mut arguments: JsonObject) -> Result<T, Failure> {
    arguments.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Failure::usage(format!("the arguments do not fit: {error}")))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let mut info = ServerConfig::new(capabilities);
        info.server_info = Implementation::new("fastvm", self.session.options.version);
        info.instructions = Some(tools::instructions(&self.session.options));
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            let names: Vec<_> = self.tools.iter().map(|tool| tool.name.as_ref()).collect();
            let message = format!(
                "there is no tool of this name; there are {}",
                names.join(", ")
            );
            return Err(ErrorData::invalid_params(message, None));
        }
        let arguments = request.arguments.unwrap_or_default();
        let outcome = self.call(&request.name, arguments, &context).await;
        Ok(answer::result(outcome).into())
    }
}
