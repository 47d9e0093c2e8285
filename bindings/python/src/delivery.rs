//! Delivery classes, as a sender requests them.

use std::time::Duration;

use hikyaku::{Class, Delivery as Asked};
use pyo3::{exceptions::PyTypeError, prelude::*};

use crate::{errors::HikyakuError, runtime::seconds};

/// How long an audio frame is worth sending, unless another time is given.
const DEFAULT_DEADLINE: Duration = Duration::from_millis(100);

/// A delivery class: ORDERED, RELIABLE, LATEST, UNRELIABLE or DEADLINE. `DEADLINE(0.04)` is the
/// same with another time, in seconds.
#[pyclass(frozen, module = "hikyaku", eq)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery(pub(crate) Asked);

/// A delivery class, as an argument.
pub(crate) struct DeliveryArg(pub(crate) Asked);

impl<'py> FromPyObject<'_, 'py> for DeliveryArg {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(delivery) = given.cast::<Delivery>() {
            return Ok(Self(delivery.get().0));
        }
        Err(PyTypeError::new_err(format!(
            "delivery is one of hikyaku.ORDERED, RELIABLE, LATEST, UNRELIABLE and \
             DEADLINE(seconds), not {}",
            given.repr()?
        )))
    }
}

/// The number of a channel, as an argument.
#[derive(Clone, Copy)]
pub(crate) struct ChannelArg(pub(crate) u16);

impl<'py> FromPyObject<'_, 'py> for ChannelArg {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // Overflows are out of range as well.
        let number = given.extract::<i64>().or_else(|error| {
            if error.is_instance_of::<PyTypeError>(given.py()) { Err(error) } else { Ok(-1) }
        });
        match number.map(u16::try_from) {
            Ok(Ok(number)) => Ok(Self(number)),
            Ok(Err(_)) => Err(HikyakuError::value(format!(
                "a channel is a number from 0 to 65535, not {}",
                given.repr()?
            ))),
            Err(_) => Err(PyTypeError::new_err(format!(
                "a channel is a number from 0 to 65535, not {}",
                given.repr()?
            ))),
        }
    }
}

#[pymethods]
impl Delivery {
    /// The name in lower case: "ordered".
    #[getter]
    fn name(&self) -> String {
        self.0.class().to_string()
    }

    /// The time of a deadline in seconds, or None.
    #[getter]
    fn seconds(&self) -> Option<f64> {
        match self.0 {
            Asked::Deadline(within) => Some(within.as_secs_f64()),
            _ => None,
        }
    }

    fn __call__(&self, within: f64) -> PyResult<Self> {
        match self.0 {
            Asked::Deadline(_) => Ok(Self(Asked::Deadline(seconds(within)?))),
            _ => Err(HikyakuError::value("only DEADLINE takes a time: DEADLINE(0.1)")),
        }
    }

    fn __hash__(&self) -> u64 {
        let class = self.0.class().to_string();
        class.bytes().fold(0, |hash, byte| hash * 31 + u64::from(byte))
    }

    fn __repr__(&self) -> String {
        match self.0 {
            Asked::Deadline(within) => format!("hikyaku.DEADLINE({})", within.as_secs_f64()),
            other => format!("hikyaku.{}", other.class().to_string().to_uppercase()),
        }
    }
}

/// Returns the delivery with which a message of a class was sent, as far as its receiver knows.
pub(crate) const fn received(class: Class) -> Delivery {
    Delivery(match class {
        Class::Reliable => Asked::Reliable,
        Class::Latest => Asked::Latest,
        Class::Unreliable => Asked::Unreliable,
        Class::Deadline => Asked::Deadline(DEFAULT_DEADLINE),
        _ => Asked::Ordered,
    })
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Delivery>()?;
    module.add("ORDERED", Delivery(Asked::Ordered))?;
    module.add("RELIABLE", Delivery(Asked::Reliable))?;
    module.add("LATEST", Delivery(Asked::Latest))?;
    module.add("UNRELIABLE", Delivery(Asked::Unreliable))?;
    module.add("DEADLINE", Delivery(Asked::Deadline(DEFAULT_DEADLINE)))
}
