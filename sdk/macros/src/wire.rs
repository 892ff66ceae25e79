//! `#[derive(Wire)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Field, Fields, Result};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a Wire type has no generic parameters"));
    }
    match &input.data {
        Data::Struct(data) => structure(&input, &data.fields),
        Data::Enum(data) => enumeration(&input, data),
        Data::Union(_) => {
            Err(Error::new_spanned(&input.ident, "a union cannot cross the boundary"))
        }
    }
}

/// How one field is decoded: required, or its default when the sender did not know it yet.
fn decode(field: &Field) -> Result<TokenStream> {
    let mut optional = false;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("wire")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("default") {
                optional = true;
                Ok(())
            } else {
                Err(meta.error("the only option is `default`"))
            }
        })?;
    }
    let ty = &field.ty;
    Ok(if optional {
        quote!(if record.is_empty() { <#ty as ::core::default::Default>::default() } else { <#ty as ::fazt_sdk::wire::Wire>::decode(&mut record)? })
    } else {
        quote!(<#ty as ::fazt_sdk::wire::Wire>::decode(&mut record)?)
    })
}

fn shape<'a>(name: &str, fields: impl Iterator<Item = (String, &'a syn::Type)>) -> TokenStream {
    let parts = fields.map(|(name, ty)| quote!((#name, <#ty as ::fazt_sdk::wire::Wire>::SHAPE)));
    quote!(::fazt_sdk::wire::record_shape(#name, &[#(#parts),*]))
}

fn structure(input: &DeriveInput, fields: &Fields) -> Result<TokenStream> {
    let ident = &input.ident;
    let name = ident.to_string();
    let members: Vec<_> = fields.members().collect();
    let decodes = fields.iter().map(decode).collect::<Result<Vec<_>>>()?;
    let named = fields.iter().enumerate().map(|(index, field)| {
        (field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string), &field.ty)
    });
    let shape = shape(&name, named);
    let record = if members.is_empty() { quote!(_) } else { quote!(mut record) };
    Ok(quote! {
        impl ::fazt_sdk::wire::Wire for #ident {
            const SHAPE: u64 = #shape;
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                let start = ::fazt_sdk::wire::open_record(out);
                #( ::fazt_sdk::wire::Wire::encode(&self.#members, out); )*
                ::fazt_sdk::wire::close_record(out, start);
            }
            fn decode(input: &mut ::fazt_sdk::wire::Input<'_>) -> ::core::result::Result<Self, ::fazt_sdk::wire::WireError> {
                let #record = input.record()?;
                ::core::result::Result::Ok(Self { #( #members: #decodes ),* })
            }
        }
    })
}

fn enumeration(input: &DeriveInput, data: &syn::DataEnum) -> Result<TokenStream> {
    let ident = &input.ident;
    let name = ident.to_string();
    let mut encodes = Vec::new();
    let mut decodes = Vec::new();
    let mut shapes = Vec::new();
    for (number, variant) in data.variants.iter().enumerate() {
        let number =
            u32::try_from(number).map_err(|_| Error::new_spanned(variant, "too many variants"))?;
        let variant_ident = &variant.ident;
        let members: Vec<_> = variant.fields.members().collect();
        let bindings: Vec<_> =
            (0..members.len()).map(|index| format_ident!("field_{index}")).collect();
        let field_decodes = variant.fields.iter().map(decode).collect::<Result<Vec<_>>>()?;
        encodes.push(quote! {
            Self::#variant_ident { #( #members: #bindings ),* } => {
                ::fazt_sdk::wire::Wire::encode(&#number, out);
                #( ::fazt_sdk::wire::Wire::encode(#bindings, out); )*
            }
        });
        decodes.push(quote! {
            #number => ::core::result::Result::Ok(Self::#variant_ident { #( #members: #field_decodes ),* }),
        });
        let named = variant.fields.iter().enumerate().map(|(index, field)| {
            (field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string), &field.ty)
        });
        let variant_name = variant_ident.to_string();
        let variant_shape = shape(&variant_name, named);
        shapes.push(quote!((#variant_name, #variant_shape)));
    }
    Ok(quote! {
        impl ::fazt_sdk::wire::Wire for #ident {
            const SHAPE: u64 = ::fazt_sdk::wire::record_shape(#name, &[#(#shapes),*]);
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                let start = ::fazt_sdk::wire::open_record(out);
                match self { #(#encodes)* }
                ::fazt_sdk::wire::close_record(out, start);
            }
            fn decode(input: &mut ::fazt_sdk::wire::Input<'_>) -> ::core::result::Result<Self, ::fazt_sdk::wire::WireError> {
                let mut record = input.record()?;
                match <u32 as ::fazt_sdk::wire::Wire>::decode(&mut record)? {
                    #(#decodes)*
                    other => ::core::result::Result::Err(::fazt_sdk::wire::WireError::variant(#name, other)),
                }
            }
        }
    })
}
