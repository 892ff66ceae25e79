//! `#[service("name", major)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{
    Error, FnArg, GenericArgument, Ident, ItemTrait, LitInt, LitStr, Pat, PathArguments, Result,
    ReturnType, Token, TraitItem, TraitItemFn, Type,
};

struct Arguments {
    name: LitStr,
    major: LitInt,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![,]>()?;
        Ok(Self { name, major: input.parse()? })
    }
}

/// How an argument crosses.
enum Crossing {
    /// `T`: encoded, decoded, passed by value.
    Owned(Type),
    /// `&T`, `&str`, `&[T]`: encoded from the reference, decoded into an owner, lent again.
    Lent { owner: TokenStream, encode: TokenStream },
}

struct Method {
    item: TraitItemFn,
    ident: Ident,
    arguments: Vec<(Ident, Crossing)>,
    output: Type,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let Arguments { name, major } = syn::parse2(arguments)?;
    let mut item: ItemTrait = syn::parse2(item)?;
    let methods = item
        .items
        .iter()
        .map(|entry| match entry {
            TraitItem::Fn(method) => parse_method(method),
            other => Err(Error::new_spanned(other, "a service has methods only")),
        })
        .collect::<Result<Vec<_>>>()?;
    let service_trait = &item.ident;
    let visibility = &item.vis;
    let api = format_ident!("{}Api", service_trait);

    let hashes = methods.iter().map(|method| {
        let name = method.ident.to_string();
        let shapes = method.arguments.iter().map(|(_, crossing)| match crossing {
            Crossing::Owned(ty) => quote!(<#ty as ::fazt_sdk::wire::Wire>::SHAPE),
            Crossing::Lent { owner, .. } => quote!(<#owner as ::fazt_sdk::wire::Wire>::SHAPE),
        });
        let output = &method.output;
        quote!(::fazt_sdk::service::Method::new(
            #name, &[#(#shapes),*], <#output as ::fazt_sdk::wire::Wire>::SHAPE
        ))
    });
    let proxies = methods.iter().enumerate().map(|(index, method)| proxy(index, method));
    let arms = methods.iter().enumerate().map(|(index, method)| arm(index, method, service_trait));
    let declarations: Vec<TraitItem> = methods.iter().map(declaration).collect::<Result<_>>()?;
    item.items = declarations;
    item.supertraits.push(syn::parse_quote!(::core::marker::Send));
    item.supertraits.push(syn::parse_quote!(::core::marker::Sync));
    item.supertraits.push(syn::parse_quote!('static));
    let key =
        format!("The key of [`{service_trait}`]: `{}/{}`.", name.value(), major.base10_digits());
    Ok(quote! {
        #item

        #[doc = #key]
        #[derive(Debug, Clone, Copy)]
        #visibility enum #api {}

        impl ::fazt_sdk::service::Interface for #api {
            const NAME: &'static str = #name;
            const MAJOR: u32 = #major;
            const METHODS: &'static [::fazt_sdk::service::Method] = &[#(#hashes),*];
        }

        impl #api {
            /// Makes a provider of an implementation, for `Started::provide`.
            #visibility fn of<T: #service_trait>(implementation: T) -> ::fazt_sdk::service::Provider {
                let shared = ::std::sync::Arc::new(implementation);
                ::fazt_sdk::service::Provider::new::<Self, _, _>(move |method, call, arguments| {
                    let implementation = ::std::sync::Arc::clone(&shared);
                    async move {
                        let mut input = ::fazt_sdk::wire::Input::new(&arguments);
                        match method {
                            #(#arms)*
                            other => ::core::result::Result::Err(::fazt_sdk::service::no_such_method::<Self>(other)),
                        }
                    }
                })
            }
        }

        impl #service_trait for ::fazt_sdk::service::Service<#api> {
            #(#proxies)*
        }
    })
}

fn parse_method(method: &TraitItemFn) -> Result<Method> {
    let signature = &method.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(signature, "a service's methods are `async fn`"));
    }
    let mut inputs = signature.inputs.iter();
    if !matches!(inputs.next(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() && receiver.mutability.is_none())
    {
        return Err(Error::new_spanned(signature, "the first argument is `&self`"));
    }
    match inputs.next() {
        Some(FnArg::Typed(typed)) if matches!(&*typed.ty, Type::Reference(reference) if matches!(&*reference.elem, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Call"))) =>
            {}
        _ => return Err(Error::new_spanned(signature, "the second argument is `call: &Call`")),
    }
    let mut arguments = Vec::new();
    for input in inputs {
        let FnArg::Typed(typed) = input else {
            return Err(Error::new_spanned(input, "unexpected `self`"));
        };
        let Pat::Ident(pattern) = &*typed.pat else {
            return Err(Error::new_spanned(&typed.pat, "an argument is a plain name"));
        };
        arguments.push((pattern.ident.clone(), crossing(&typed.ty)));
    }
    let ReturnType::Type(_, returned) = &signature.output else {
        return Err(Error::new_spanned(signature, "a service's methods return `Result<T>`"));
    };
    let output = success_type(returned)
        .ok_or_else(|| Error::new_spanned(returned, "a service's methods return `Result<T>`"))?;
    Ok(Method { item: method.clone(), ident: signature.ident.clone(), arguments, output })
}

fn success_type(returned: &Type) -> Option<Type> {
    let Type::Path(path) = returned else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(generics) = &segment.arguments else { return None };
    match generics.args.first()? {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    }
}

fn crossing(ty: &Type) -> Crossing {
    let Type::Reference(reference) = ty else { return Crossing::Owned(ty.clone()) };
    match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => Crossing::Lent {
            owner: quote!(::std::string::String),
            encode: quote!(::fazt_sdk::wire::encode_str),
        },
        Type::Slice(slice) => {
            let element = &slice.elem;
            Crossing::Lent {
                owner: quote!(::std::vec::Vec<#element>),
                encode: quote!(::fazt_sdk::wire::encode_slice::<#element>),
            }
        }
        owned => Crossing::Lent {
            owner: quote!(#owned),
            encode: quote!(<#owned as ::fazt_sdk::wire::Wire>::encode),
        },
    }
}

/// The method in the trait: a future that may move between threads, which `async fn` satisfies.
fn declaration(method: &Method) -> Result<TraitItem> {
    let mut item = method.item.clone();
    item.sig.asyncness = None;
    let ReturnType::Type(_, returned) = item.sig.output.clone() else {
        return Err(Error::new_spanned(&item.sig, "a service's methods return `Result<T>`"));
    };
    item.sig.output = syn::parse_quote!(-> impl ::core::future::Future<Output = #returned> + ::core::marker::Send);
    Ok(TraitItem::Fn(item))
}

/// The method of `Service<Api>`: encode, call, decode.
fn proxy(index: usize, method: &Method) -> TokenStream {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let signature = &method.item.sig;
    let call = match signature.inputs.iter().nth(1) {
        Some(FnArg::Typed(typed)) => typed.pat.clone(),
        _ => syn::parse_quote!(call),
    };
    let encodes = method.arguments.iter().map(|(name, crossing)| match crossing {
        Crossing::Owned(_) => quote!(::fazt_sdk::wire::Wire::encode(&#name, &mut arguments);),
        Crossing::Lent { encode, .. } => quote!(#encode(#name, &mut arguments);),
    });
    let mutability = (!method.arguments.is_empty()).then(|| quote!(mut));
    quote! {
        #signature {
            let #mutability arguments = ::std::vec::Vec::new();
            #(#encodes)*
            self.invoke(#index, #call, arguments).await
        }
    }
}

/// The provider's side of one method: decode, run, encode.
fn arm(index: usize, method: &Method, service_trait: &Ident) -> TokenStream {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let ident = &method.ident;
    let decodes = method.arguments.iter().map(|(name, crossing)| match crossing {
        Crossing::Owned(ty) => {
            quote!(let #name = <#ty as ::fazt_sdk::wire::Wire>::decode(&mut input)?;)
        }
        Crossing::Lent { owner, .. } => {
            quote!(let #name = <#owner as ::fazt_sdk::wire::Wire>::decode(&mut input)?;)
        }
    });
    let passes = method.arguments.iter().map(|(name, crossing)| match crossing {
        Crossing::Owned(_) => quote!(#name),
        Crossing::Lent { .. } => quote!(&#name),
    });
    quote! {
        #index => {
            #(#decodes)*
            input.finish()?;
            let output = #service_trait::#ident(&*implementation, &call, #(#passes),*).await?;
            ::core::result::Result::Ok(::fazt_sdk::wire::to_vec(&output))
        }
    }
}
