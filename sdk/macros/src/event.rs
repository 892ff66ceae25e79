//! `#[derive(Event)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, LitStr, Result};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let attribute = input
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("event"))
        .ok_or_else(|| {
            Error::new_spanned(&input.ident, "name the event: #[event(\"plugin.what-happened\")]")
        })?;
    let name: LitStr = attribute.parse_args()?;
    let ident = &input.ident;
    Ok(quote! {
        impl ::fazt_sdk::event::Event for #ident {
            const NAME: &'static str = #name;
        }
    })
}
