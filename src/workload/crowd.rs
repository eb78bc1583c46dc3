//! Flows of many books at once, mixed as they arrive.

use super::{FlowMessage, FlowShape, Random};

/// So many messages to so many books: each book plays the start of a flow of its own, of `messages / books` messages (the
/// first ones one more), and whose message is next is random. The same seed gives the same messages.
///
/// # Panics
/// If there are no books.
pub fn crowd(shape: FlowShape, books: u32, messages: u32, seed: u64) -> Vec<(u32, FlowMessage)> {
    assert!(books > 0, "messages need a book");
    let length = |book: u32| (messages / books + u32::from(book < messages % books)) as usize;
    let mut flows: Vec<_> = (0..books).map(|book| flow(shape, length(book), seed, book).into_iter()).collect();
    let mut turns: Vec<u32> = (0..books).flat_map(|book| std::iter::repeat_n(book, length(book))).collect();
    let mut random = Random::new(seed, 7);
    for last in (1..turns.len()).rev() {
        turns.swap(last, random.below(last as u64 + 1) as usize);
    }
    let next = |book: u32| (book, flows[book as usize].next().expect("a book has a message for each of its turns"));
    turns.into_iter().map(next).collect()
}

/// The start of a book's flow. An order has about two messages, and the shape stretches over all orders.
fn flow(shape: FlowShape, length: usize, seed: u64, book: u32) -> Vec<FlowMessage> {
    let seed = Random::new(seed, 8 + u64::from(book)).word();
    let mut orders = length as u32 / 2 + length as u32 / 64 + 8;
    loop {
        let mut messages = shape.messages(orders, seed);
        if messages.len() >= length {
            messages.truncate(length);
            return messages;
        }
        orders += orders / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_book_has_its_share_of_its_own_flow() {
        for (books, messages) in [(1, 1_000), (7, 1_000), (1_000, 2_500), (10, 3), (3, 0)] {
            let all = crowd(FlowShape::Normal, books, messages, 5);
            assert_eq!(all, crowd(FlowShape::Normal, books, messages, 5));
            assert_eq!(all.len(), messages as usize);
            for book in 0..books {
                let own: Vec<_> = all.iter().filter(|(of, _)| *of == book).map(|(_, message)| *message).collect();
                let length = messages / books + u32::from(book < messages % books);
                assert_eq!(own, flow(FlowShape::Normal, length as usize, 5, book));
            }
        }
        assert_ne!(crowd(FlowShape::Normal, 2, 100, 1), crowd(FlowShape::Normal, 2, 100, 2));
    }
}
