//! The admin API's token: taken from the configuration, or made once and kept in a file.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use uuid::Uuid;

use crate::domain::endpoint::Secret;

/// The token kept in `file`, and whether it was made just now.
///
/// # Errors
/// When the file can neither be read nor written, or holds nothing.
pub(super) fn load_or_create(file: &Path) -> anyhow::Result<(Secret, bool)> {
    if let Some(text) = read(file)? {
        let token = Secret::new(&text)
            .with_context(|| format!("{} is empty: delete it and start again", file.display()))?;
        return Ok((token, false));
    }
    // 244 random bits: two version 4 UUIDs, from the system's generator.
    let text = format!("sbx_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let mut made = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot keep the admin token in {}", file.display()))?;
    made.write_all(text.as_bytes())?;
    made.sync_all()?;
    Ok((Secret::new(&text)?, true))
}

fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the admin token in {}", file.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("admin-token");
        let (made, new) = load_or_create(&file).unwrap();
        assert!(new && made.expose().len() > 40);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let (again, new) = load_or_create(&file).unwrap();
        assert!(!new);
        assert_eq!(made.expose(), again.expose());
    }

    #[test]
    fn an_empty_file_is_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("admin-token");
        std::fs::write(&file, "\n").unwrap();
        assert!(load_or_create(&file).unwrap_err().to_string().contains("delete it"));
    }
}
