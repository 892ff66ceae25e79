//! The service interfaces that ship with fazt, one file each.
//!
//! They carry no trace of how a provider keeps its data: another provider, on another engine,
//! implements the same trait and passes the same conformance tests.

pub mod app_data;
pub mod app_secrets;
pub mod apps;
pub mod bindings;
pub mod blob_refs;
pub mod code_check;
pub mod documents;
pub mod egress;
pub mod jobs;
pub mod kv;
pub mod objects;
pub mod sites;
pub mod space;
pub mod transactions;
pub mod workers;

pub use app_data::{AppData, AppDataApi};
pub use app_secrets::{AppSecrets, AppSecretsApi};
pub use apps::{Apps, AppsApi};
pub use bindings::{Bindings, BindingsApi};
pub use blob_refs::{BlobRefs, BlobRefsApi};
pub use code_check::{CodeCheck, CodeCheckApi};
pub use documents::{Documents, DocumentsApi};
pub use egress::{Egress, EgressApi};
pub use jobs::{Jobs, JobsApi, Schedules, SchedulesApi};
pub use kv::{Kv, KvApi};
pub use objects::{Objects, ObjectsApi};
pub use sites::{Sites, SitesApi};
pub use space::Space;
pub use transactions::{Transactions, TransactionsApi};
pub use workers::{Workers, WorkersApi};
