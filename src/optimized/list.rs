//! A short list on the stack, to divide things by what they are. Which they are, nobody can predict: so they are put on the list
//! without a branch, and whoever goes through it meets one kind only.

/// Up to `N` things.
pub(super) struct List<T, const N: usize> {
    all: [T; N],
    len: usize,
}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list; `any` is for the places that are not used.
    pub(super) fn of(any: T) -> Self {
        List { all: [any; N], len: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline(always)]
    pub(super) fn push(&mut self, value: T) {
        self.push_if(true, value);
    }

    /// Adds it, if it counts. No branch.
    #[inline(always)]
    pub(super) fn push_if(&mut self, counts: bool, value: T) {
        self.all[self.len % N] = value;
        self.len += usize::from(counts);
    }

    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.all[..self.len.min(N)].iter().copied()
    }
}
