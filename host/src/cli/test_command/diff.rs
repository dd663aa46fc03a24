//! Two texts line by line: what is only in the one, what is only in the other, and a little around it.

/// Lines that are shown around a change.
const AROUND: usize = 3;

/// Texts of more lines are shown whole, one after the other: what compares them takes their product.
const MOST_LINES: usize = 2_000;

/// Where a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

/// `-` is in `old` alone, `+` in `new` alone.
pub(super) fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = if old.len().max(new.len()) > MOST_LINES {
        let old = old.into_iter().map(|line| (Side::Old, line));
        old.chain(new.into_iter().map(|line| (Side::New, line))).collect()
    } else {
        merged(&old, &new)
    };
    let changed: Vec<usize> =
        (0..).zip(&lines).filter(|(_, (side, _))| *side != Side::Both).map(|(at, _)| at).collect();
    let mut out = String::new();
    let mut skipped = false;
    for (at, (side, line)) in lines.iter().enumerate() {
        let near = changed.iter().any(|change| change.abs_diff(at) <= AROUND);
        if !near {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) && !out.is_empty() {
            out.push_str("    ...\n");
        }
        let sign = match side {
            Side::Both => ' ',
            Side::Old => '-',
            Side::New => '+',
        };
        out.push_str(format!("    {sign} {line}").trim_end());
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// The lines of both in order, those of their longest common part once.
fn merged<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Side, &'a str)> {
    // `common[i][j]`: lines that `old[i..]` and `new[j..]` have in common.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    let at = |common: &[Vec<u32>], i: usize, j: usize| -> u32 {
        common.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0)
    };
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let longest = if one == other {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = longest;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::with_capacity(old.len().max(new.len()));
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                lines.push((Side::Both, *one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other)
                if other.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) =>
            {
                lines.push((Side::Old, *one));
                i += 1;
            }
            (_, Some(other)) => {
                lines.push((Side::New, *other));
                j += 1;
            }
            _ => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
        let new = "a\nb\nc\nd\ne\nX\ng\nh\ni\nj\nk\nl\nY\n";
        assert_eq!(
            diff(old, new),
            "      c\n      d\n      e\n    - f\n    + X\n      g\n      h\n      i\n      j\n      k\n      l\n    + Y"
        );
        assert_eq!(diff("same\n", "same\n"), "");
        assert_eq!(diff("", "a\n"), "    + a");
    }
}
