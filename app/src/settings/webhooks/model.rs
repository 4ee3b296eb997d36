use crate::catalog::named;

named! {
    /// Whether a webhook gets events.
    Status {
        Enabled = "enabled",
        /// By a person, until a person goes on.
        Paused = "paused",
        /// By the house, after it failed for too long.
        Disabled = "disabled",
    }
}

named! {
    /// What became of a delivery.
    DeliveryStatus {
        Pending = "pending",
        Delivered = "delivered",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}
