//! `#[receiver]`: keeps the function, and says beside it which events it takes.
//!
//! Not the registration: a component has no life before its exports, so `plugin!` lists what it
//! runs.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ItemFn, LitStr, Result, ReturnType, Token};

use crate::rules;

/// What stands between the attribute's parentheses.
struct Events {
    kinds: Vec<LitStr>,
    provider: Option<LitStr>,
    filter: Option<LitStr>,
}

enum Argument {
    Kind(LitStr),
    Named(Ident, LitStr),
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            return input.parse().map(Self::Kind);
        }
        let quotes =
            |span| Error::new(span, "expected an event type in quotes, e.g. \"charge.succeeded\"");
        let name: Ident = input.parse().map_err(|error| quotes(error.span()))?;
        if input.parse::<Token![=]>().is_err() {
            return Err(quotes(name.span()));
        }
        Ok(Self::Named(name, input.parse()?))
    }
}

impl Parse for Events {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut events = Self { kinds: Vec::new(), provider: None, filter: None };
        for argument in Punctuated::<Argument, Token![,]>::parse_terminated(input)? {
            match argument {
                Argument::Kind(kind) => {
                    rules::pattern(&kind)?;
                    if events.kinds.iter().any(|earlier| earlier.value() == kind.value()) {
                        return Err(Error::new(kind.span(), "this event type is named twice"));
                    }
                    events.kinds.push(kind);
                }
                Argument::Named(name, value) => {
                    let slot = match name.to_string().as_str() {
                        "provider" => {
                            rules::provider(&value)?;
                            &mut events.provider
                        }
                        "filter" => {
                            if value.value().trim().is_empty() {
                                return Err(Error::new(value.span(), "the filter is empty"));
                            }
                            &mut events.filter
                        }
                        other => {
                            return Err(Error::new(
                                name.span(),
                                format!("unknown `{other}`: there are `provider` and `filter`"),
                            ));
                        }
                    };
                    if slot.replace(value).is_some() {
                        return Err(Error::new(name.span(), "given twice"));
                    }
                }
            }
        }
        if events.kinds.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "name the event types to receive, e.g. #[receiver(\"charge.succeeded\")]",
            ));
        }
        Ok(events)
    }
}

pub(crate) fn expand(events: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(function).map_err(|error| {
        Error::new(error.span(), "#[receiver] belongs on a function: `fn name(event: &Event)`")
    })?;
    // Errors in the events leave the function standing, so that one mistake is one message.
    let said = syn::parse2::<Events>(events).and_then(|events| describe(&events, &function));
    let said = said.unwrap_or_else(Error::into_compile_error);
    Ok(quote! {
        #[deny(dead_code, reason = "a receiver that `plugin!` does not list is never called")]
        #function
        #said
    })
}

fn describe(events: &Events, function: &ItemFn) -> Result<TokenStream> {
    let call = call(function)?;
    let name = &function.sig.ident;
    let visibility = &function.vis;
    let text = name.to_string();
    let kinds = &events.kinds;
    let provider = events.provider.as_ref().map_or_else(|| "stripe".to_owned(), LitStr::value);
    let filter = match &events.filter {
        Some(filter) => quote!(::core::option::Option::Some(#filter)),
        None => quote!(::core::option::Option::None),
    };
    // A type of the function's name: types and functions have separate names, so `use` and
    // `plugin!` reach both by one path.
    Ok(quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility enum #name {}

        impl ::signalbox_sdk::Receives for #name {
            const RECEIVER: ::signalbox_sdk::Receiver = {
                fn run(
                    event: &::signalbox_sdk::Event,
                    delivery: &::signalbox_sdk::Delivery,
                ) -> ::core::result::Result<(), ::signalbox_sdk::Failure> {
                    let _ = delivery;
                    #call
                }
                ::signalbox_sdk::Receiver::new(#text, #provider, &[#(#kinds),*], #filter, run)
            };
        }
    })
}

/// The call of the function, so that a wrong type is told at the signature that has it.
fn call(function: &ItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    let wrong = |span, what: &str| {
        Err(Error::new(
            span,
            format!(
                "{what}; a receiver is `fn {}(event: &Event) -> Result<(), Failure>`, with `delivery: &Delivery` as a second argument if it wants",
                signature.ident
            ),
        ))
    };
    if let Some(token) = &signature.asyncness {
        return wrong(
            token.span(),
            "a receiver cannot be async: the host's functions answer at once",
        );
    }
    if !signature.generics.params.is_empty() {
        return wrong(signature.generics.span(), "a receiver cannot be generic");
    }
    let mut arguments = Vec::new();
    for (place, argument) in signature.inputs.iter().enumerate() {
        match argument {
            FnArg::Receiver(this) => return wrong(this.span(), "a receiver is no method"),
            FnArg::Typed(typed) => {
                let span = typed.ty.span();
                match place {
                    0 => arguments.push(quote_spanned!(span=> event)),
                    1 => arguments.push(quote_spanned!(span=> delivery)),
                    _ => return wrong(typed.span(), "too many arguments"),
                }
            }
        }
    }
    if arguments.is_empty() {
        return wrong(signature.paren_token.span.join(), "the event is missing");
    }
    let span = match &signature.output {
        ReturnType::Default => signature.ident.span(),
        ReturnType::Type(_, returned) => returned.span(),
    };
    let name = &signature.ident;
    Ok(quote_spanned!(span=> ::signalbox_sdk::IntoVerdict::into_verdict(#name(#(#arguments),*))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message for a function with this attribute.
    fn message(events: TokenStream, function: TokenStream) -> String {
        match expand(events, function) {
            Ok(code) => code.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named() {
        let good = || {
            quote!(
                fn f(event: &Event) -> Result<(), Failure> {
                    Ok(())
                }
            )
        };
        for (events, function, says) in [
            (quote!(), good(), "name the event types"),
            (quote!(charge), good(), "in quotes"),
            (quote!(4), good(), "in quotes"),
            (quote!("a..b"), good(), "a part between dots is empty"),
            (quote!("a.b", "a.b"), good(), "named twice"),
            (quote!("a", filter = " "), good(), "the filter is empty"),
            (quote!("a", filter = "x", filter = "y"), good(), "given twice"),
            (quote!("a", provider = "Stripe"), good(), "a provider's name"),
            (quote!("a", when = "x"), good(), "unknown `when`"),
            (
                quote!("a"),
                quote!(
                    struct F;
                ),
                "belongs on a function",
            ),
            (
                quote!("a"),
                quote!(
                    async fn f(event: &Event) {}
                ),
                "cannot be async",
            ),
            (
                quote!("a"),
                quote!(
                    fn f<T>(event: &Event) {}
                ),
                "cannot be generic",
            ),
            (
                quote!("a"),
                quote!(
                    fn f() {}
                ),
                "the event is missing",
            ),
            (
                quote!("a"),
                quote!(
                    fn f(&self) {}
                ),
                "no method",
            ),
            (
                quote!("a"),
                quote!(
                    fn f(a: &Event, b: &Delivery, c: u8) {}
                ),
                "too many arguments",
            ),
        ] {
            let message = message(events, function);
            let message = message.replace("\\\"", "\"");
            assert!(message.contains(says), "{says:?} is not in: {message}");
        }
    }
}
