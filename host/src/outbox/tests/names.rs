//! A resolver that answers as the test says.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::super::Resolver;

/// Of each name, the answers still to be given; the last one is given again and again.
#[derive(Debug, Default)]
pub(super) struct Names {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    /// Every name that was asked for.
    pub(super) asked: Mutex<Vec<String>>,
}

impl Names {
    /// `(name, answers)`, the addresses of an answer apart by spaces.
    pub(super) fn of(entries: &[(&str, &[&str])]) -> Arc<Self> {
        let names = Self::default();
        for (name, answers) in entries {
            let parse = |answer: &&str| {
                answer.split_whitespace().map(|address| address.parse().unwrap()).collect()
            };
            let answers = answers.iter().map(parse).collect();
            names.answers.lock().unwrap().insert((*name).to_owned(), answers);
        }
        Arc::new(names)
    }
}

#[async_trait]
impl Resolver for Names {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let left = answers.get_mut(host).ok_or_else(|| io::Error::other("no such host"))?;
        if left.len() > 1 {
            return Ok(left.pop_front().unwrap());
        }
        Ok(left.front().cloned().unwrap_or_default())
    }
}
