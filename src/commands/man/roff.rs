//! Text as the formatters of manual pages take it.

/// The longest line of a source; `mandoc -T lint` asks for it.
const WIDTH: usize = 78;

/// A manual page that is being written.
pub(super) struct Roff(String);

impl Roff {
    /// Begins a page. The parts stand in its first and last line.
    pub(super) fn new(title: &str, date: &str, source: &str, manual: &str) -> Self {
        Self(format!(
            ".TH {} 1 {date} \"{source}\" \"{manual}\"\n",
            escaped(&title.to_uppercase())
        ))
    }

    pub(super) fn section(&mut self, name: &str) {
        self.0.push_str(&format!(".SH {}\n", name.to_uppercase()));
    }

    /// Begins another paragraph of a section.
    pub(super) fn paragraph(&mut self) {
        self.0.push_str(".PP\n");
    }

    /// Running text, with what stands in backquotes in bold.
    pub(super) fn text(&mut self, text: &str) {
        let mut is_bold = false;
        let mut roff = String::new();
        for part in escaped(text).split('`') {
            match is_bold {
                true => roff.push_str(&bold(part)),
                false => roff.push_str(part),
            }
            is_bold = !is_bold;
        }
        self.marked(&roff);
    }

    /// Running text that is escaped already.
    pub(super) fn marked(&mut self, roff: &str) {
        for line in wrapped(roff) {
            self.0.push_str(&guarded(&line));
            self.0.push('\n');
        }
    }

    /// A term, which text that explains it follows.
    pub(super) fn term(&mut self, roff: &str) {
        self.0.push_str(".TP\n");
        self.0.push_str(&guarded(roff));
        self.0.push('\n');
    }

    /// Lines that stay as they are.
    pub(super) fn verbatim<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        self.0.push_str(".RS 4\n.nf\n");
        for line in lines {
            self.0
                .push_str(&guarded(&wrapped(&escaped(line)).join(" \\\n")));
            self.0.push('\n');
        }
        self.0.push_str(".fi\n.RE\n");
    }

    /// Lines that stay as they are, escaped already.
    pub(super) fn lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let lines: Vec<String> = lines
            .into_iter()
            .map(|line| wrapped(line).join("\n"))
            .collect();
        self.0.push_str(&lines.join("\n.br\n"));
        self.0.push('\n');
    }

    pub(super) fn indented(&mut self, content: impl FnOnce(&mut Self)) {
        self.0.push_str(".RS\n");
        content(self);
        self.0.push_str(".RE\n");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text in which nothing is a command of the formatter.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('^', "\\(ha")
        .replace('~', "\\(ti")
}

pub(super) fn bold(roff: &str) -> String {
    format!("\\fB{roff}\\fR")
}

pub(super) fn italic(roff: &str) -> String {
    format!("\\fI{roff}\\fR")
}

/// A line that begins with a dot is a command, unless something stands before it.
fn guarded(line: &str) -> String {
    match line.starts_with('.') {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.trim().is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() || word.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
