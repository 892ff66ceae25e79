//! `GET /_template/hello`: greets and counts.

use fazt_sdk::prelude::*;

use crate::store::Store;

pub(crate) struct Greet {
    store: Store,
    greeting: String,
}

impl Greet {
    pub(crate) fn new(store: Store, greeting: String) -> Self {
        Self { store, greeting }
    }
}

impl Handler for Greet {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let app = call.app().ok_or_else(|| {
            Error::invalid("greetings are counted per app; this request is for none")
        })?;
        let count = self.store.greet(app, request.path()).await?;
        Ok(Response::text(format!("{}, visitor {count}\n", self.greeting)))
    }
}
