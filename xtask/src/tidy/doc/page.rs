//! Parts of a Markdown page that contain names: links, inline code, fenced blocks.

/// A piece of a page and the line where it begins.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Fence {
    pub(super) line: usize,
    /// The first word after the fence; empty if none.
    pub(super) language: String,
    pub(super) text: String,
}

/// One Markdown page, taken apart.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) path: &'a str,
    pub(super) links: Vec<Piece>,
    pub(super) spans: Vec<Piece>,
    pub(super) fences: Vec<Fence>,
}

impl<'a> Page<'a> {
    pub(super) fn read(path: &'a str, text: &str) -> Self {
        let (prose, fences) = split_fences(text);
        let (prose, spans) = split_spans(&prose);
        Self { path, links: links(&prose), spans, fences }
    }

    /// The folder that the page's relative links start from; empty for the root, else ending in `/`.
    pub(super) fn folder(&self) -> &'a str {
        self.path.rfind('/').map_or("", |slash| &self.path[..=slash])
    }

    /// Lines that a reader would type into a shell or quote as code: spans, and the lines of shell blocks.
    pub(super) fn commands(&self) -> impl Iterator<Item = (usize, &str)> {
        let spans = self.spans.iter().map(|span| (span.line, span.text.as_str()));
        spans.chain(self.shell_lines())
    }

    /// The lines of fenced shell blocks.
    pub(super) fn shell_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let shell =
            self.fences.iter().filter(|fence| ["sh", "bash", "console"].contains(&fence.language.as_str()));
        shell.flat_map(|fence| fence.text.lines().enumerate().map(|(at, line)| (fence.line + 1 + at, line)))
    }
}

/// Cuts the fenced blocks out, leaving empty lines, so that line numbers do not change.
fn split_fences(text: &str) -> (String, Vec<Fence>) {
    let (mut prose, mut fences, mut open) = (String::new(), Vec::new(), None::<Fence>);
    for (at, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, None) => {
                prose.push_str(line);
                None
            }
            (None, Some(info)) => {
                let language = info.split_whitespace().next().unwrap_or_default().to_owned();
                Some(Fence { line: at + 1, language, text: String::new() })
            }
            (Some(fence), Some(_)) => {
                fences.push(fence);
                None
            }
            (Some(mut fence), None) => {
                fence.text.push_str(line);
                fence.text.push('\n');
                Some(fence)
            }
        };
        prose.push('\n');
    }
    (prose, fences)
}

/// Cuts the inline code out, blanking it. A span may wrap a line but not a paragraph.
fn split_spans(prose: &str) -> (String, Vec<Piece>) {
    let (mut rest, mut spans, mut at) = (String::new(), Vec::new(), 0);
    while let Some(start) = prose[at..].find('`').map(|found| at + found) {
        let ticks = prose[start..].bytes().take_while(|byte| *byte == b'`').count();
        let inner = start + ticks;
        let paragraph = prose[inner..].find("\n\n").map_or(prose.len(), |end| inner + end);
        rest.push_str(&prose[at..start]);
        at = inner;
        if let Some(length) = prose[inner..paragraph].find(&"`".repeat(ticks)) {
            let text = &prose[inner..inner + length];
            let line = prose[..start].matches('\n').count() + 1;
            rest.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            spans.push(Piece { line, text: text.to_owned() });
            at = inner + length + ticks;
        }
    }
    rest.push_str(&prose[at..]);
    (rest, spans)
}

/// Targets of `[text](target)` and of `[name]: target`.
fn links(prose: &str) -> Vec<Piece> {
    let mut links = Vec::new();
    for (at, line) in prose.lines().enumerate() {
        let inline = line.match_indices("](").filter_map(|(open, _)| {
            let target = &line[open + 2..];
            target.find(')').map(|close| &target[..close])
        });
        let defined =
            line.strip_prefix('[').and_then(|line| line.split_once("]: ")).map(|(_, target)| target);
        let targets = inline.chain(defined).filter_map(|target| target.split_whitespace().next());
        links.extend(targets.map(|target| Piece { line: at + 1, text: target.to_owned() }));
    }
    links
}
