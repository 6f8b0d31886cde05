//! Shared helpers of the property tests.

use proptest::{prelude::*, sample::Index};

/// A fault applied to one frame of one call in transit.
#[derive(Clone, Debug)]
pub(crate) enum Harm {
    Flip { at: Index, by: u8 },
    Cut { at: Index },
    Twice,
    Lost,
}

pub(crate) fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<Index>(), 1..=u8::MAX).prop_map(|(at, by)| Harm::Flip { at, by }),
        any::<Index>().prop_map(|at| Harm::Cut { at }),
        Just(Harm::Twice),
        Just(Harm::Lost),
    ]
}

impl Harm {
    /// The messages that arrive in place of this one. The header is kept: a frame with another
    /// number belongs to another call.
    pub(crate) fn apply(&self, mut message: Vec<u8>) -> Vec<Vec<u8>> {
        const HEADER: usize = 10;
        match self {
            Self::Flip { at, by } => {
                let at = HEADER + at.index(message.len() - HEADER);
                message[at] ^= by;
                vec![message]
            }
            Self::Cut { at } => {
                message.truncate(HEADER + at.index(message.len() - HEADER));
                vec![message]
            }
            Self::Twice => vec![message.clone(), message],
            Self::Lost => vec![],
        }
    }
}

/// One interleaving of the steps of several calls: the index of the next call, once for each of its
/// steps.
pub(crate) fn interleaved(lengths: &[usize], choices: &[Index]) -> Vec<usize> {
    let mut left = lengths.to_vec();
    let mut order = Vec::new();
    for choice in choices.iter().cycle() {
        let open: Vec<usize> = (0..left.len()).filter(|call| left[*call] > 0).collect();
        if open.is_empty() {
            break;
        }
        let call = *choice.get(&open);
        left[call] -= 1;
        order.push(call);
    }
    order
}
