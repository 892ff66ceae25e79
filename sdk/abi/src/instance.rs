//! What a started plugin offers to the host.

use abi_stable::std_types::{RResult, RVec};

use crate::FfiFuture;
use crate::bytes::RawBytes;
use crate::call::RawCall;
use crate::error::RawError;
use crate::http::{RawRequest, RawResponse};

interface! {
    /// A started plugin. Numbers are positions in the manifest's lists.
    pub trait Instance => InstanceTable, RawInstance {
        /// Answers a request for route number `route`.
        fn handle(route: u32, call: &RawCall, request: RawRequest) -> FfiFuture<RResult<RawResponse, RawError>>;
        /// Runs admin operation number `operation` with JSON input; answers JSON.
        fn operate(operation: u32, call: &RawCall, input: RVec<u8>) -> FfiFuture<RResult<RVec<u8>, RawError>>;
        /// Runs JavaScript binding number `binding` with a JSON list of arguments; answers JSON.
        fn bind(binding: u32, call: &RawCall, arguments: RVec<u8>) -> FfiFuture<RResult<RVec<u8>, RawError>>;
        /// Calls method `method` of provided service number `service`.
        fn call(service: u32, method: u32, call: &RawCall, arguments: RVec<u8>) -> FfiFuture<RResult<RVec<u8>, RawError>>;
        /// Delivers a batch to subscription number `subscription`; `sequence` is that of the last
        /// event when the subscription is durable, else 0.
        fn deliver(subscription: u32, sequence: u64, batch: RVec<RawBytes>) -> FfiFuture<RResult<(), RawError>>;
        /// Ends the plugin's work; the host has already stopped sending it any.
        fn stop() -> FfiFuture<RResult<(), RawError>>;
    }
}
