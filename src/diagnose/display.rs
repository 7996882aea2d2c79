//! The text form of a diagnosis.

use std::fmt;

use super::{Diagnosis, Finding, FindingId, Severity};

/// The width of a paragraph, after which a line is broken. Continuation lines are indented.
const WIDTH: usize = 100;
const INDENT: &str = "            ";

const WHERE_TO_RUN: &str =
    "Run the commands on a workstation with access to the account and the cluster, unless a comment says otherwise.
Replace the words in capitals. Changes of variables and service accounts take effect only in new pods.";

impl Diagnosis {
    /// The same as `Display`, with colours if `colored` is true. Use it for terminals, unless `NO_COLOR` is set.
    ///
    /// ```no_run
    /// # use std::io::IsTerminal as _;
    /// # use eks_credentials::Diagnosis;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let diagnosis = Diagnosis::of_env().await;
    /// let is_terminal = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    /// println!("{}", diagnosis.colored(is_terminal));
    /// # }
    /// ```
    pub fn colored(&self, colored: bool) -> impl fmt::Display + '_ {
        View { diagnosis: self, colored }
    }
}

/// Without colours. [`colored`](Diagnosis::colored) adds them.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&View { diagnosis: self, colored: false }, f)
    }
}

struct View<'a> {
    diagnosis: &'a Diagnosis,
    colored: bool,
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnosis { source, findings, .. } = self.diagnosis;
        let source = source.map_or_else(|| "no credential source is used".to_owned(), |source| source.to_string());
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings) =
            (counted(count(Severity::Error), "error"), counted(count(Severity::Warning), "warning"));
        let unverified = findings.iter().any(|finding| finding.id == FindingId::IdentityUnknown);
        let verified = if unverified { ", identity not verified" } else { "" };
        writeln!(f, "AWS credentials of this pod: {source}, {errors}, {warnings}{verified}")?;
        let mut quiet = false;
        for finding in findings {
            // Separates the errors and warnings from the other findings.
            if finding.severity <= Severity::Info && !std::mem::replace(&mut quiet, true) {
                writeln!(f)?;
            }
            match finding.severity {
                Severity::Error | Severity::Warning => self.whole(f, finding)?,
                Severity::Info | Severity::Ok => self.line(f, finding)?,
            }
        }
        if findings.iter().any(|finding| !finding.commands.is_empty()) {
            writeln!(f, "\n{WHERE_TO_RUN}")?;
        }
        Ok(())
    }
}

impl View<'_> {
    fn label(&self, severity: Severity) -> String {
        let (label, color) = match severity {
            Severity::Error => ("ERROR   ", "1;31"),
            Severity::Warning => ("WARNING ", "1;33"),
            Severity::Info => ("info    ", "36"),
            Severity::Ok => ("ok      ", "32"),
        };
        if self.colored { format!("\u{1b}[{color}m{label}\u{1b}[0m") } else { label.to_owned() }
    }

    fn whole(&self, f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
        writeln!(f, "\n{}{}: {}", self.label(finding.severity), finding.id, finding.title)?;
        paragraph(f, "observed    ", &finding.observed)?;
        let rest =
            [("cause       ", &finding.cause), ("expected    ", &finding.expected), ("remedy      ", &finding.remedy)];
        for (label, text) in rest {
            text.as_ref().map_or(Ok(()), |text| paragraph(f, label, text))?;
        }
        // Lines of commands and policies are not broken, because they are pasted.
        for command in &finding.commands {
            writeln!(f, "  {INDENT}  {command}")?;
        }
        for line in finding.policy.iter().flat_map(|policy| policy.lines()) {
            writeln!(f, "  {INDENT}  {line}")?;
        }
        for consequence in &finding.consequences {
            let text = format!("{}, {}: {}", consequence.id, consequence.title, consequence.observed);
            paragraph(f, "consequence ", &text)?;
        }
        Ok(())
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
        writeln!(f, "{}{}: {}", self.label(finding.severity), finding.id, finding.title)?;
        match &finding.remedy {
            Some(remedy) => paragraph(f, INDENT, &format!("{}; {remedy}", finding.observed)),
            None => paragraph(f, INDENT, &finding.observed),
        }
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Writes `text` with line breaks between words. A word that is longer than a line is not broken.
fn paragraph(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    write!(f, "  {label}")?;
    let mut column = 0_usize;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column.saturating_add(length) >= WIDTH {
            write!(f, "\n  {INDENT}")?;
            column = 0;
        }
        if column > 0 {
            write!(f, " ")?;
        }
        write!(f, "{word}")?;
        column = column.saturating_add(length).saturating_add(1);
    }
    writeln!(f)
}
