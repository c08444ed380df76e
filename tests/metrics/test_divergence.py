import math

from videxp.metrics.divergence import DivergenceWatch

PINNED = "discriminator accuracy within 0.01 of 1 (it wins always; now 0.995), since batch 2"


def test_a_discriminator_that_always_wins_is_told_once():
    watch = DivergenceWatch(patience=3)
    said = [watch.discriminator(accuracy, batch=n) for n, accuracy in enumerate([1, 0.9, 1, 1, 0.995, 1, 1, 0.7, 1])]
    assert said == [None] * 4 + [PINNED] + [None] * 4


def test_one_good_batch_starts_the_count_anew():
    watch = DivergenceWatch(patience=3)
    assert not any(watch.discriminator(0.9 if n % 3 == 2 else 1, batch=n) for n in range(30))


def test_a_discriminator_that_tells_nothing_apart():
    healthy, dead = DivergenceWatch(patience=5), DivergenceWatch(patience=5)
    assert not any(healthy.discriminator(0.5 + 0.03 * math.sin(n), batch=n) for n in range(100))  # equilibrium moves
    said = [dead.discriminator(0.5, batch=n) for n in range(100)]
    assert "within 0.01 of 0.5 (it tells nothing apart; now 0.500), since batch 0" in said[4]
    assert [text for text in said if text] == [said[4]]


def test_collapsed_diversity():
    watch = DivergenceWatch(share=0.1)
    assert watch.diversity(0.5, real=4, batch=10) is None
    said = watch.diversity(0.3, real=4, batch=20)
    assert said == "mode collapse: the generated clips' diversity is 0.3, the real ones' 4, since batch 20"
    assert watch.diversity(0.2, real=4, batch=30) is None


def test_values_that_are_not_finite_are_named():
    watch = DivergenceWatch()
    assert watch.finite({"loss": 1.0, "gradient norm": 2.0}, batch=1) is None
    said = watch.finite({"loss": float("nan"), "gradient norm": float("inf"), "step": 1.0}, batch=2)
    assert said == "loss is nan, gradient norm is inf, since batch 2"
    assert watch.finite({"loss": float("nan")}, batch=3) is None


def test_a_resumed_watch_goes_on_as_though_it_had_never_stopped():
    accuracies = [0.9, 1, 1, 1, 1, 1, 1]
    whole, first, second, fresh = (DivergenceWatch(patience=4) for _ in range(4))
    expected = [whole.discriminator(accuracy, batch=n) for n, accuracy in enumerate(accuracies)]
    said = [first.discriminator(accuracy, batch=n) for n, accuracy in enumerate(accuracies[:3])]
    second.load_state_dict(first.state_dict())
    rest = list(enumerate(accuracies))[3:]
    assert said + [second.discriminator(accuracy, batch=n) for n, accuracy in rest] == expected
    assert [fresh.discriminator(accuracy, batch=n) for n, accuracy in rest] != expected[3:]  # negative control
