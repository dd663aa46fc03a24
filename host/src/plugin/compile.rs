//! From a component to machine code, in a process of its own.
//!
//! Not the keeping of the code (`plugin::cache`).
//!
//! A component of JavaScript or Python is compiled for ten seconds and in 350 MiB. On a thread of
//! the host, nicer than everything else, that delays no acknowledgement that could be measured, but
//! most of the memory stays with the process for good (measured after one of JavaScript: 290 MiB,
//! where a host that found the code in its cache has 50), and a component made to be hard to
//! compile could take all there is. A process of its own gives everything back when it ends, and
//! the kernel holds it to [`MAX_MEMORY`] and [`MAX_CPU`]. It is this very program again, so that
//! the code fits; what it is told and what it tells are bytes on its standard streams.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::error::LoadError;
use super::threads;

/// Bytes of address space of the process that compiles. Default 4 GiB: ten times what the largest
/// known toolchain output takes.
pub const MAX_MEMORY: u64 = 4 << 30;

/// Seconds of processor time of that process. Default 300: twenty times what the largest known
/// output takes in a release build of the host.
pub const MAX_CPU: u64 = 300;

/// The command of this program that compiles.
pub const COMMAND: &str = "compile-component";

/// What machine code on the stream begins with: anything else is not from our program.
const MAGIC: &[u8; 8] = b"sbxcode3";

/// The exit code that says the component itself is at fault; the reason is on standard error.
const INVALID: i32 = 65;

/// How compiling elsewhere ended.
#[derive(Debug)]
pub(super) enum Elsewhere {
    /// With machine code.
    Code(Vec<u8>),
    /// With a reason to refuse the component.
    Refused(LoadError),
    /// It never came to it; the host can still compile it itself.
    Unavailable(String),
}

/// Have `program` compile a component.
pub(super) fn elsewhere(program: &Path, component: &[u8]) -> Elsewhere {
    match talk(program, component) {
        Ok((status, mut code, _)) if status.success() && code.starts_with(MAGIC) => {
            code.drain(..MAGIC.len());
            Elsewhere::Code(code)
        }
        Ok((status, _, said)) => judge(status, &said),
        Err(cause) => Elsewhere::Unavailable(cause.to_string()),
    }
}

fn judge(status: ExitStatus, said: &[u8]) -> Elsewhere {
    let said = String::from_utf8_lossy(said).trim().to_owned();
    if status.code() == Some(INVALID) {
        Elsewhere::Refused(LoadError::Invalid { cause: said })
    } else if status.code().is_none() {
        // A limit's signal, an abort for want of memory, or the kernel's own choice.
        Elsewhere::Refused(LoadError::TooMuchToCompile { cause: status.to_string() })
    } else {
        Elsewhere::Unavailable(format!("the compiling process ended with {status} {said}"))
    }
}

fn talk(program: &Path, component: &[u8]) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // If it ends before it has read all, its end says why.
        let _ = input.write_all(component);
    }
    let output = child.wait_with_output()?;
    Ok((output.status, output.stdout, output.stderr))
}

/// What the process does that compiles: bounds itself, reads, compiles, answers. Its exit code.
///
/// # Errors
/// When it cannot bound itself or its streams fail.
pub fn serve(from: impl Read, to: impl Write, say: impl Write) -> io::Result<i32> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, limit(MAX_MEMORY))?;
    setrlimit(Resource::Cpu, limit(MAX_CPU))?;
    // A component that cannot be compiled leaves no image of this process behind.
    setrlimit(Resource::Core, limit(0))?;
    threads::be_nice();
    answer(from, to, say)
}

fn answer(mut from: impl Read, mut to: impl Write, mut say: impl Write) -> io::Result<i32> {
    let mut component = Vec::new();
    from.read_to_end(&mut component)?;
    match super::engine::compile(&component) {
        Ok(code) => {
            to.write_all(MAGIC)?;
            to.write_all(&code)?;
            to.flush()?;
            Ok(0)
        }
        Err(cause) => {
            writeln!(say, "{cause:#}")?;
            Ok(INVALID)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::plugin::tests::components;

    #[test]
    fn a_component_is_answered_with_code_and_a_bad_one_with_the_reason() {
        let (mut code, mut said) = (Vec::new(), Vec::new());
        let good = components::noop("a", &["charge.succeeded"]);
        assert_eq!(answer(good.as_slice(), &mut code, &mut said).unwrap(), 0);
        assert!(code.starts_with(b"sbxcode3\x7fELF"), "{:?}", code.get(..12));
        code.clear();
        assert_eq!(answer(&good[..20], &mut code, &mut said).unwrap(), INVALID);
        assert!(code.is_empty() && !said.is_empty());
    }

    #[test]
    fn each_end_of_the_process_is_judged() {
        let ended = |raw| judge(ExitStatus::from_raw(raw), b"not valid\n");
        let Elsewhere::Refused(LoadError::Invalid { cause }) = ended(INVALID << 8) else {
            panic!("an invalid component")
        };
        assert_eq!(cause, "not valid");
        for signal in [6, 9, 24] {
            let Elsewhere::Refused(error) = ended(signal) else { panic!("signal {signal}") };
            assert!(error.to_string().contains("4 GiB of memory or 300 s"), "{error}");
            assert!(error.remedy().contains("build it smaller"), "{}", error.remedy());
        }
        assert!(matches!(ended(1 << 8), Elsewhere::Unavailable(_)));
    }

    #[test]
    fn another_program_is_no_compiler() {
        for program in ["/bin/true", "/bin/false", "/nowhere/signalbox"] {
            let ended = elsewhere(Path::new(program), b"\0asm");
            assert!(matches!(ended, Elsewhere::Unavailable(_)), "{program}: {ended:?}");
        }
    }
}
