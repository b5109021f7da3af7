"""What the notification service counts."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_RECEIPT_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15)


@dataclass(frozen=True, slots=True)
class StreamMetrics:
    """Metrics of the streams."""

    open: Gauge
    ended: Counter
    receipt: Histogram

    @classmethod
    def of(cls, registry: CollectorRegistry) -> "StreamMetrics":
        """Register them."""
        return cls(
            open=Gauge(
                "fountain_notification_streams", "Streams that are open, our own included.", registry=registry
            ),
            ended=Counter(
                "fountain_notification_streams_ended",
                "Streams that have ended: slow, token, revoked, left, stopping, broken.",
                ["reason"],
                registry=registry,
            ),
            receipt=Histogram(
                "fountain_notification_receipt_seconds",
                "Seconds from an event's arrival until it was written to a stream; the oldest of each write.",
                buckets=_RECEIPT_BUCKETS,
                registry=registry,
            ),
        )


@dataclass(frozen=True, slots=True)
class LogMetrics:
    """Metrics of the log."""

    published: Counter

    @classmethod
    def of(cls, registry: CollectorRegistry) -> "LogMetrics":
        """Register them."""
        return cls(
            published=Counter("fountain_notification_published", "Events published here.", registry=registry),
        )


@dataclass(frozen=True, slots=True)
class DeliveryMetrics:
    """Metrics of the subscriptions; the gauges are set by whoever looks at the queues."""

    attempts: Counter
    missed: Counter
    depth: Gauge
    dead: Gauge
    oldest: Gauge

    @classmethod
    def of(cls, registry: CollectorRegistry) -> "DeliveryMetrics":
        """Register them."""
        return cls(
            attempts=Counter(
                "fountain_notification_delivery_attempts",
                "Attempts to deliver: delivered, failed (to be tried again), dead (given up).",
                ["outcome"],
                registry=registry,
            ),
            missed=Counter(
                "fountain_notification_deliveries_missed",
                "Deliveries that cannot be made: retention removed their events while they were disabled.",
                registry=registry,
            ),
            depth=Gauge(
                "fountain_notification_queue_depth",
                "Deliveries that wait.",
                ["subscription"],
                registry=registry,
            ),
            dead=Gauge(
                "fountain_notification_dead_letters",
                "Deliveries that were given up.",
                ["subscription"],
                registry=registry,
            ),
            oldest=Gauge(
                "fountain_notification_oldest_undelivered_seconds",
                "Age of the oldest delivery that waits; 0 if none does, or the subscription is disabled.",
                ["subscription"],
                registry=registry,
            ),
        )
