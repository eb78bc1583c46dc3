//! A chain without its transactions: what proofs are checked against.
//!
//! ```text
//! "JBHEADS1"   parameters 88   headers, 80 each
//! ```
//!
//! The parameters need no trust of their own: their hash is the first header's parent.

use super::{BlockError, ChainParams, Header, ParamsError, Tip};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"JBHEADS1";
const HEAD_LEN: usize = MAGIC.len() + ChainParams::ENCODED_LEN;

/// Parameters and headers, the first block's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderChain {
    /// The chain's parameters.
    pub params: ChainParams,
    /// Its headers.
    pub headers: Vec<Header>,
}

/// Why bytes are no headers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum HeaderFileError {
    #[error("this is a whole chain file, not a file of headers: `joulebook headers` writes one")]
    WholeChain,
    #[error("this is not a file of headers: it does not begin with \"JBHEADS1\"")]
    Magic,
    #[error("the file ends in the middle of the chain's parameters")]
    HeadCut,
    #[error("the chain's parameters: {0}")]
    Params(#[from] ParamsError),
    #[error("behind the parameters are {bytes} bytes; headers have 80 each")]
    Length { bytes: usize },
}

impl HeaderChain {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.params.encode());
        self.headers.iter().for_each(|header| out.extend_from_slice(&header.encode()));
        out
    }

    /// The inverse of [`encode`](Self::encode). Nothing is checked yet but the form.
    ///
    /// # Errors
    /// Bytes that are no file of headers.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFileError> {
        if bytes.starts_with(super::chain_file::MAGIC) {
            return Err(HeaderFileError::WholeChain);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(HeaderFileError::Magic);
        }
        let (head, headers) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(HeaderFileError::HeadCut)?;
        let params = ChainParams::decode(head[MAGIC.len()..].try_into().expect("the parameters"))?;
        let (headers, []) = headers.as_chunks() else {
            return Err(HeaderFileError::Length { bytes: headers.len() });
        };
        Ok(HeaderChain { params, headers: headers.iter().map(Header::decode).collect() })
    }

    /// Checks every header: linkage down to the parameters, targets, work, time. Returns the end of the chain and the
    /// expected number of hashes that all headers took. Compare the end's hash with one that you trust: anybody can make a
    /// chain of his own.
    ///
    /// # Errors
    /// The first thing that is wrong, with its block; no header at all reads as an empty block 0.
    pub fn check(&self) -> Result<(Tip, f64), BlockError> {
        let mut tip = Tip::genesis(self.params);
        for header in &self.headers {
            let hash = tip.check(header)?;
            tip.extend(header, hash);
        }
        if self.headers.is_empty() {
            return Err(BlockError::Empty { block: 0 });
        }
        Ok((tip, self.headers.iter().map(Header::work).sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn headers_round_trip_and_are_checked() {
        let chain = sample::header_chain(5);
        assert_eq!(HeaderChain::decode(&chain.encode()), Ok(chain.clone()));
        let (tip, work) = chain.check().unwrap();
        assert_eq!((tip.hash(), tip.height()), (chain.headers[4].hash(), 5));
        assert!((work - 5.0 * chain.headers[0].work()).abs() < 1e-9);
        let refusal = |change: fn(&mut HeaderChain)| {
            let mut changed = chain.clone();
            change(&mut changed);
            changed.check().unwrap_err()
        };
        assert_eq!(refusal(|chain| chain.headers.clear()), BlockError::Empty { block: 0 });
        assert!(matches!(refusal(|chain| chain.headers.swap(2, 3)), BlockError::Link { block: 2, .. }));
        assert!(matches!(
            refusal(|chain| chain.headers = chain.headers.split_off(1)),
            BlockError::Link { block: 0, .. }
        ));
        assert!(matches!(refusal(|chain| chain.headers[4].bits = 0x207f_ffff), BlockError::Bits { block: 4, .. }));
        // Other parameters are another chain, whatever they change.
        assert!(matches!(refusal(|chain| chain.params.bits = 0x207f_ffff), BlockError::Link { block: 0, .. }));
        assert!(matches!(refusal(|chain| chain.params.rules.fee_ppm = 0), BlockError::Link { block: 0, .. }));
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        let bytes = sample::header_chain(2).encode();
        let decoded = |bytes: &[u8]| HeaderChain::decode(bytes).unwrap_err();
        assert_eq!(decoded(&sample::file(1)), HeaderFileError::WholeChain);
        assert_eq!(decoded(b""), HeaderFileError::Magic);
        assert_eq!(decoded(&bytes[..50]), HeaderFileError::HeadCut);
        assert_eq!(decoded(&bytes[..bytes.len() - 1]), HeaderFileError::Length { bytes: 159 });
        let mut lot = bytes.clone();
        lot[MAGIC.len() + 12] = 0;
        assert!(matches!(decoded(&lot), HeaderFileError::Params(_)));
    }
}
