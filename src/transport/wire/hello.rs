//! HELLO as bytes. Its first fields keep their numbers and meaning in every version, so that nodes without a common
//! protocol can still tell each other so.

use super::encode::{EncodeError, put_summary, read_summary};
use super::fields::{FieldReader, Unknown, put_field, put_flag, put_number, required};
use super::frame::GREETING_BODY_BYTES_MAX;
use super::message::{Hello, NODE_INFO_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Incarnation, Origin};
use crate::core::limits::{KEY_BYTES_MAX, LABEL_BYTES_MAX};
use crate::store::scope::{PREFIXES_BYTES_MAX, PREFIXES_MAX, Scope};
use crate::sync::message::{Epoch, Greeting};

/// Most epochs of a feed in HELLO: a cursor from before so many openings is void, which costs a reconciliation and
/// nothing else.
pub const EPOCHS_WRITTEN_MAX: usize = 64;

/// Capabilities of a node beyond its protocol, one bit each.
mod capability {
    /// The node understands RANGES, with sums over content. Bit 0 meant RANGES with sums without content, and is not
    /// used again.
    pub(super) const RECONCILES: u64 = 1 << 1;
    /// The node's sums cover content.
    pub(super) const SUMS_CONTENT: u64 = 1 << 2;
    /// The node reads the content hash in LARGE, keeps parts of large values, and resumes after them.
    pub(super) const RESUMES: u64 = 1 << 3;
}

fn check(hello: &Hello) -> Result<(), EncodeError> {
    let greeting = &hello.greeting;
    let expected = hello.expected_node_id.as_deref();
    let id_is_sound = |id: &str| !id.is_empty() && id.len() <= LABEL_BYTES_MAX;
    if !id_is_sound(&greeting.node_id) || !expected.is_none_or(id_is_sound) {
        return Err(EncodeError::Malformed("a node id"));
    }
    if greeting.epochs.is_empty() || greeting.epochs.len() > EPOCHS_WRITTEN_MAX {
        return Err(EncodeError::Limit("the chain of stretches"));
    }
    if !greeting.scope.can_be_told() {
        return Err(EncodeError::Limit("the prefixes"));
    }
    if hello.node_info.len() > NODE_INFO_BYTES_MAX {
        return Err(EncodeError::Limit("the node info"));
    }
    if hello.protocol_min == 0 || hello.protocol_min > hello.protocol_max {
        return Err(EncodeError::Malformed("the protocol range"));
    }
    Ok(())
}

/// Appends the payload of HELLO.
pub(in crate::transport) fn put_hello(out: &mut Vec<u8>, hello: &Hello) -> Result<(), EncodeError> {
    check(hello)?;
    let start = out.len();
    let greeting = &hello.greeting;
    put_field(out, 1, Unknown::Refuse, |value| {
        value.put_varint(u64::from(hello.protocol_min));
        value.put_varint(u64::from(hello.protocol_max));
    });
    put_field(out, 2, Unknown::Refuse, |value| {
        value.extend_from_slice(greeting.node_id.as_bytes());
    });
    put_field(out, 3, Unknown::Refuse, |value| {
        value.extend_from_slice(&greeting.origin.0);
    });
    put_field(out, 4, Unknown::Refuse, |value| {
        value.put_length(greeting.epochs.len());
        for epoch in &greeting.epochs {
            value.extend_from_slice(&epoch.incarnation.0);
            value.put_varint(epoch.began_after);
        }
    });
    put_flag(out, 5, Unknown::Refuse, greeting.durable);
    // Without the field the scope is all keys; with an empty field it is nothing.
    if let Some(prefixes) = greeting.scope.prefixes() {
        put_field(out, 6, Unknown::Refuse, |value| {
            value.put_length(prefixes.len());
            for prefix in prefixes {
                value.put_prefixed(prefix);
            }
        });
    }
    put_summary(out, 7, &greeting.summary);
    put_number(out, 8, Unknown::Refuse, greeting.last_lseq);
    put_number(out, 9, Unknown::Refuse, greeting.value_bytes_max);
    put_number(out, 10, Unknown::Skip, greeting.wall_ms);
    if let Some(expected) = &hello.expected_node_id {
        put_field(out, 11, Unknown::Skip, |value| {
            value.extend_from_slice(expected.as_bytes());
        });
    }
    put_field(out, 12, Unknown::Refuse, |value| {
        value.extend_from_slice(&hello.instance.to_le_bytes());
    });
    put_number(out, 13, Unknown::Skip, hello.keepalive_ms);
    if !hello.node_info.is_empty() {
        put_field(out, 14, Unknown::Skip, |value| {
            value.extend_from_slice(&hello.node_info);
        });
    }
    let capabilities = [
        (greeting.reconciles, capability::RECONCILES),
        (greeting.sums_content, capability::SUMS_CONTENT),
        (greeting.resumes, capability::RESUMES),
    ];
    let capabilities = capabilities.into_iter().filter(|(can, _)| *can);
    let capabilities: u64 = capabilities.map(|(_, bit)| bit).sum();
    if capabilities > 0 {
        put_number(out, 15, Unknown::Skip, capabilities);
    }
    let length = 1 + out.len() - start;
    if length > GREETING_BODY_BYTES_MAX {
        return Err(EncodeError::TooLong {
            length,
            limit: GREETING_BODY_BYTES_MAX,
        });
    }
    Ok(())
}

/// Fields of HELLO read so far.
#[derive(Default)]
struct Parts {
    protocol: Option<(u16, u16)>,
    node_id: Option<String>,
    origin: Option<Origin>,
    epochs: Option<Vec<Epoch>>,
    durable: Option<bool>,
    scope: Scope,
    summary: Option<crate::store::entry::Summary>,
    last_lseq: Option<u64>,
    value_bytes_max: Option<u64>,
    wall_ms: u64,
    expected_node_id: Option<String>,
    instance: Option<u64>,
    keepalive_ms: u64,
    node_info: Vec<u8>,
    capabilities: u64,
}

/// Reads the payload of HELLO.
pub(in crate::transport) fn read_hello(payload: &[u8]) -> Result<Hello, DecodeError> {
    let mut parts = Parts::default();
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        match field.number {
            1 => parts.protocol = Some(field.parse(read_protocol)?),
            2 => parts.node_id = Some(node_id_of(field.text(LABEL_BYTES_MAX, "a node id")?)?),
            3 => parts.origin = Some(Origin(field.parse(ByteReader::array)?)),
            4 => parts.epochs = Some(field.parse(read_chain)?),
            5 => parts.durable = Some(field.flag()?),
            6 => parts.scope = Scope::of(field.parse(read_prefixes)?),
            7 => parts.summary = Some(field.parse(read_summary)?),
            8 => parts.last_lseq = Some(field.number_value()?),
            9 => parts.value_bytes_max = Some(field.number_value()?),
            10 => parts.wall_ms = field.number_value()?,
            11 => {
                let expected = field.text(LABEL_BYTES_MAX, "a node id")?;
                parts.expected_node_id = Some(node_id_of(expected)?);
            }
            12 => parts.instance = Some(field.parse(ByteReader::u64)?),
            13 => parts.keepalive_ms = field.number_value()?,
            14 if field.bytes().len() > NODE_INFO_BYTES_MAX => {
                return Err(DecodeError::Limit("the node info"));
            }
            14 => parts.node_info = field.bytes().to_vec(),
            15 => parts.capabilities = field.number_value()?,
            // A peer without a common protocol may send fields that this version cannot know; the session tells it.
            _ if parts.protocol.is_some_and(|range| !in_common(range)) => {}
            _ => field.skip()?,
        }
    }
    assemble(parts)
}

fn assemble(parts: Parts) -> Result<Hello, DecodeError> {
    let (protocol_min, protocol_max) = required(parts.protocol, "the protocol range")?;
    Ok(Hello {
        protocol_min,
        protocol_max,
        greeting: Greeting {
            node_id: required(parts.node_id, "a node id")?,
            origin: required(parts.origin, "an origin")?,
            epochs: required(parts.epochs, "the chain of stretches")?,
            durable: required(parts.durable, "durability")?,
            scope: parts.scope,
            summary: required(parts.summary, "a summary")?,
            last_lseq: required(parts.last_lseq, "the last sequence")?,
            value_bytes_max: required(parts.value_bytes_max, "the value limit")?,
            wall_ms: parts.wall_ms,
            reconciles: parts.capabilities & capability::RECONCILES != 0,
            sums_content: parts.capabilities & capability::SUMS_CONTENT != 0,
            resumes: parts.capabilities & capability::RESUMES != 0,
        },
        expected_node_id: parts.expected_node_id,
        instance: required(parts.instance, "the instance")?,
        keepalive_ms: parts.keepalive_ms,
        node_info: parts.node_info,
    })
}

fn in_common((min, max): (u16, u16)) -> bool {
    min <= PROTOCOL_MAX && max >= PROTOCOL_MIN
}

fn read_protocol(reader: &mut ByteReader<'_>) -> Result<(u16, u16), DecodeError> {
    let mut number = || u16::try_from(reader.varint()?).map_err(|_| DecodeError::Number);
    let (min, max) = (number()?, number()?);
    if min == 0 || min > max {
        return Err(DecodeError::Malformed("the protocol range"));
    }
    Ok((min, max))
}

fn node_id_of(text: String) -> Result<String, DecodeError> {
    if text.is_empty() {
        Err(DecodeError::Malformed("a node id"))
    } else {
        Ok(text)
    }
}

fn read_chain(reader: &mut ByteReader<'_>) -> Result<Vec<Epoch>, DecodeError> {
    let count = reader.length(EPOCHS_WRITTEN_MAX, "the chain of stretches")?;
    if count == 0 {
        return Err(DecodeError::Malformed("the chain of stretches"));
    }
    (0..count)
        .map(|_| {
            Ok(Epoch {
                incarnation: Incarnation(reader.array()?),
                began_after: reader.varint()?,
            })
        })
        .collect()
}

fn read_prefixes(reader: &mut ByteReader<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let count = reader.length(PREFIXES_MAX, "the prefixes")?;
    let mut bytes = 0;
    (0..count)
        .map(|_| {
            let prefix = reader.prefixed(KEY_BYTES_MAX, "a prefix")?;
            bytes += prefix.len();
            if bytes > PREFIXES_BYTES_MAX {
                return Err(DecodeError::Limit("the prefixes"));
            }
            Ok(prefix.to_vec())
        })
        .collect()
}
