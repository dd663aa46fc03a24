//! `plugin!`: the manifest's facts, the list of receivers, and the component's exports.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Ident, LitInt, LitStr, Path, Result, Token, braced, bracketed, parenthesized};

use crate::rules;

/// What stands between the braces.
#[derive(Default)]
struct Fields {
    name: Option<LitStr>,
    version: Option<LitStr>,
    description: Option<LitStr>,
    ordering: Option<LitStr>,
    concurrency: Option<LitInt>,
    limits: Option<Vec<(Ident, LitStr)>>,
    requests: Option<Vec<(Ident, LitStr)>>,
    receivers: Option<Vec<Path>>,
}

impl Parse for Fields {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut fields = Self::default();
        while !input.is_empty() {
            let key = Ident::parse_any(input)?;
            input.parse::<Token![:]>()?;
            let again = match key.to_string().as_str() {
                "name" => fields.name.replace(input.parse()?).is_some(),
                "version" => fields.version.replace(input.parse()?).is_some(),
                "description" => fields.description.replace(input.parse()?).is_some(),
                "ordering" => fields.ordering.replace(input.parse()?).is_some(),
                "concurrency" => fields.concurrency.replace(input.parse()?).is_some(),
                "limits" => fields.limits.replace(limits(input)?).is_some(),
                "requests" => fields.requests.replace(requests(input)?).is_some(),
                "receivers" => fields.receivers.replace(receivers(input)?).is_some(),
                other => {
                    return Err(Error::new(
                        key.span(),
                        format!(
                            "unknown `{other}`: there are `name`, `receivers`, `requests`, \
                             `description`, `version`, `ordering`, `concurrency` and `limits`"
                        ),
                    ));
                }
            };
            if again {
                return Err(Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        fields.check()?;
        Ok(fields)
    }
}

fn receivers(input: ParseStream<'_>) -> Result<Vec<Path>> {
    let list;
    let bracket = bracketed!(list in input);
    let paths: Vec<Path> =
        Punctuated::<Path, Token![,]>::parse_terminated(&list)?.into_iter().collect();
    if paths.is_empty() {
        return Err(Error::new(
            bracket.span.join(),
            "name at least one function that has #[receiver(\"...\")]",
        ));
    }
    for (place, path) in paths.iter().enumerate() {
        let text = |path: &Path| path.to_token_stream().to_string();
        if paths[..place].iter().any(|earlier| text(earlier) == text(path)) {
            return Err(Error::new(path.span(), "this receiver is listed twice"));
        }
    }
    Ok(paths)
}

/// `[http("POST https://a/*"), emit("reminder.*"), secret("API_KEY")]`
fn requests(input: ParseStream<'_>) -> Result<Vec<(Ident, LitStr)>> {
    let list;
    bracketed!(list in input);
    let mut requests: Vec<(Ident, LitStr)> = Vec::new();
    while !list.is_empty() {
        let capability: Ident = list.parse()?;
        let scope;
        parenthesized!(scope in list);
        let scope: LitStr = scope.parse()?;
        match capability.to_string().as_str() {
            "http" => rules::http_scope(&scope)?,
            "emit" => rules::pattern(&scope)?,
            "secret" => rules::secret(&scope)?,
            "objects" => rules::object_scope(&scope)?,
            other => {
                return Err(Error::new(
                    capability.span(),
                    format!("unknown `{other}`: there are `http`, `emit`, `objects` and `secret`"),
                ));
            }
        }
        requests.push((capability, scope));
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    Ok(requests)
}

/// `{ cpu: "200ms", memory: "16MiB" }`
fn limits(input: ParseStream<'_>) -> Result<Vec<(Ident, LitStr)>> {
    let list;
    braced!(list in input);
    let mut limits: Vec<(Ident, LitStr)> = Vec::new();
    while !list.is_empty() {
        let name: Ident = list.parse()?;
        list.parse::<Token![:]>()?;
        let value: LitStr = list.parse()?;
        let (units, example): (&[&str], _) = match name.to_string().as_str() {
            "cpu" | "wall" => (&["ms", "s", "m"], "200ms"),
            "memory" => (&["KiB", "MiB", "GiB"], "16MiB"),
            other => {
                return Err(Error::new(
                    name.span(),
                    format!("unknown `{other}`: there are `cpu`, `wall` and `memory`"),
                ));
            }
        };
        if !rules::quantity(&value.value(), units) {
            return Err(Error::new(
                value.span(),
                format!("`{name}` is a whole number above zero and a unit, e.g. \"{example}\""),
            ));
        }
        if limits.iter().any(|(earlier, _)| *earlier == name) {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        limits.push((name, value));
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    Ok(limits)
}

impl Fields {
    fn check(&self) -> Result<()> {
        if let Some(name) = &self.name {
            rules::name(name)?;
        }
        if let Some(version) = &self.version {
            rules::version(version)?;
        }
        let strange = |ordering: &&LitStr| !["object", "none"].contains(&&*ordering.value());
        if let Some(ordering) = self.ordering.as_ref().filter(strange) {
            return Err(Error::new(
                ordering.span(),
                "`ordering` is \"object\" (one after another for the same object) or \"none\"",
            ));
        }
        let none = |number: &&LitInt| !number.base10_parse::<u32>().is_ok_and(|n| n > 0);
        if let Some(concurrency) = self.concurrency.as_ref().filter(none) {
            return Err(Error::new(concurrency.span(), "`concurrency` is a number from 1"));
        }
        Ok(())
    }
}

pub(crate) fn expand(fields: TokenStream) -> Result<TokenStream> {
    let fields: Fields = syn::parse2(fields)?;
    let missing = |what: &str| Error::new(Span::call_site(), what);
    let name = fields.name.ok_or_else(|| {
        missing("the plugin has no name: add `name: \"charge-counter\",` (it names the plugin's data and must never change)")
    })?;
    let receivers = fields
        .receivers
        .ok_or_else(|| missing("the plugin has no receivers: add `receivers: [function, ...],`"))?;
    let version = match fields.version {
        Some(version) => quote!(#version),
        None => quote!(::core::env!("CARGO_PKG_VERSION")),
    };
    let description = match fields.description {
        Some(description) => quote!(#description),
        None => quote!(::core::env!("CARGO_PKG_DESCRIPTION")),
    };
    let mut attributes = vec![quote!(("description", #description))];
    if let Some(ordering) = fields.ordering {
        attributes.push(quote!(("ordering", #ordering)));
    }
    if let Some(concurrency) = fields.concurrency {
        let concurrency = concurrency.base10_digits();
        attributes.push(quote!(("concurrency", #concurrency)));
    }
    for (name, value) in fields.limits.unwrap_or_default() {
        let name = format!("limit-{name}");
        attributes.push(quote!((#name, #value)));
    }
    let requests = fields.requests.unwrap_or_default().into_iter().map(|(capability, scope)| {
        let capability = match capability.to_string().as_str() {
            "http" => "outbox.http",
            "emit" => "outbox.emit",
            "objects" => "objects",
            _ => "secret",
        };
        quote!((#capability, #scope))
    });
    Ok(quote! {
        /// This plugin.
        pub const PLUGIN: ::signalbox_sdk::Plugin = ::signalbox_sdk::Plugin::new(
            ::signalbox_sdk::__private::Identity {
                name: #name,
                version: #version,
                attributes: &[#(#attributes),*],
                requests: &[#(#requests),*],
            },
            &[#(<#receivers as ::signalbox_sdk::Receives>::RECEIVER),*],
        );

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use ::signalbox_sdk::__private::bindings;
            use bindings::exports::signalbox::plugin::handler;

            struct Component;

            impl ::signalbox_sdk::__private::Guest for Component {
                fn describe() -> handler::Manifest {
                    ::signalbox_sdk::__private::describe(&PLUGIN)
                }

                fn handle(
                    event: handler::Event,
                    delivery: handler::Delivery,
                ) -> ::core::result::Result<(), handler::Failure> {
                    ::signalbox_sdk::__private::handle(&PLUGIN, event, delivery)
                }
            }

            bindings::__export_plugin!(Component with_types_in bindings);
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        for (fields, says) in [
            (quote!(receivers: [f]), "has no name"),
            (quote!(name: "a"), "has no receivers"),
            (quote!(name: "a", receivers: []), "at least one function"),
            (quote!(name: "a", receivers: [f, g, f]), "listed twice"),
            (quote!(name: "A", receivers: [f]), "a plugin's name is"),
            (quote!(name: "a", name: "b", receivers: [f]), "`name` is given twice"),
            (quote!(name: "a", receiver: [f]), "unknown `receiver`"),
            (quote!(name: "a", version: "1", receivers: [f]), "not a semantic version"),
            (quote!(name: "a", ordering: "any", receivers: [f]), "`ordering` is"),
            (quote!(name: "a", concurrency: 0, receivers: [f]), "a number from 1"),
            (quote!(name: "a", limits: { cpus: "1s" }, receivers: [f]), "unknown `cpus`"),
            (quote!(name: "a", limits: { cpu: "1" }, receivers: [f]), "e.g. \"200ms\""),
            (quote!(name: "a", limits: { memory: "0MiB" }, receivers: [f]), "e.g. \"16MiB\""),
            (quote!(name: "a", limits: { cpu: "1s", cpu: "1s" }, receivers: [f]), "given twice"),
            (quote!(name: "a", requests: [https("a")], receivers: [f]), "unknown `https`"),
            (quote!(name: "a", requests: [http("https://a/")], receivers: [f]), "write \"POST"),
            (quote!(name: "a", requests: [http("POST a.com")], receivers: [f]), "write \"POST"),
            (quote!(name: "a", requests: [emit("a..b")], receivers: [f]), "between dots is empty"),
            (quote!(name: "a", requests: [objects("customer")], receivers: [f]), "stripe customer"),
            (quote!(name: "a", requests: [secret("A B")], receivers: [f]), "a secret's name"),
        ] {
            let message = expand(fields).map_or_else(|e| e.to_string(), |code| code.to_string());
            assert!(message.contains(says), "{says:?} is not in: {message}");
        }
    }
}
