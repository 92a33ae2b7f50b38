//! What a scripted backend does next on a connection, depending on what it has received there.

use strict::requests;

use crate::script::Step;

const DEFAULT_REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// For a client that waits for it.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The answer to an invalid request, for which there is no script.
pub const INVALID: &[u8] =
    b"HTTP/1.1 400 Invalid\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What to do next on a connection.
pub enum Turn {
    Read,
    Continue,
    Refuse,
    Reply(Vec<Step>),
}

/// How far a connection has come.
#[derive(Clone, Copy, Default)]
pub struct Conversation {
    /// Requests answered, and whether a 100 (Continue) was sent to the next one.
    answered: usize,
    continued: bool,
}

impl Conversation {
    /// Finds the first request that was not answered, and what it needs. `served` counts those that
    /// were answered on all connections, because replies are given in that order.
    pub fn turn(&mut self, received: &[u8], replies: &[Vec<Step>], served: &mut usize) -> Turn {
        let received = requests(received);
        let Some(request) = received.get(self.answered) else { return Turn::Read };
        if !request.faults.is_empty() {
            return Turn::Refuse;
        }
        let mut steps = replies.get(*served).cloned().unwrap_or_default();
        let is_eager = request.has_head && steps.first() == Some(&Step::OnHead);
        if !request.is_whole && !is_eager {
            let expects =
                request.values("expect").iter().any(|v| v.eq_ignore_ascii_case(b"100-continue"));
            if expects && !self.continued {
                self.continued = true;
                return Turn::Continue;
            }
            return Turn::Read;
        }
        if steps.iter().all(|step| *step == Step::OnHead) {
            let body = if request.method == b"HEAD" { 2 } else { 0 };
            steps.push(Step::Send(DEFAULT_REPLY[..DEFAULT_REPLY.len() - body].to_vec()));
        }
        self.answered += 1;
        self.continued = false;
        *served += 1;
        Turn::Reply(steps)
    }
}

/// What a backend does with connections, for a whole case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Listening {
    #[default]
    Accepts,
    /// There is no listener.
    Refuses,
    /// Each connection is closed once it is accepted.
    Closes,
    /// Each is reset.
    Resets,
}

impl Listening {
    /// As the first reply says.
    pub fn of(replies: &[Vec<Step>]) -> Self {
        let asks_for = |step| replies.first().is_some_and(|reply| reply.contains(&step));
        match () {
            () if asks_for(Step::Refuse) => Self::Refuses,
            () if asks_for(Step::AcceptClose) => Self::Closes,
            () if asks_for(Step::AcceptReset) => Self::Resets,
            () => Self::Accepts,
        }
    }
}
