"""The answers of a service: asked for once, stored before the next step, and taken from the store ever after.

A service is a system behind an API, or the LLM or the recogniser of a cascade that an endpoint runs.
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.asking import ApiCaller, Call, Stopped
from cascade_equivalence.models.api.costs import most, output_limit
from cascade_equivalence.models.api.ending import ended_by_exceptions
from cascade_equivalence.models.api.exchange import Unanswered, turns_of
from cascade_equivalence.models.api.failures import utc
from cascade_equivalence.models.api.keys import OFFLINE, api_key, is_offline
from cascade_equivalence.models.api.ledger import BudgetReached, Ledger
from cascade_equivalence.models.api.limits import Clock, RateLimit
from cascade_equivalence.models.api.records import StoredAnswer, question_key, read_store
from cascade_equivalence.models.api.system import ApiSystem, open_client
from cascade_equivalence.models.question import Answer, Question
from cascade_equivalence.models.store import UNANSWERED, Store
from cascade_equivalence.progress import Advance, progress

REASONS_SHOWN = 5

GIVE_UP_AFTER = 10
"""Questions in a row without an answer after which a job asks no more: the provider is out of order."""


def ask_questions(
    questions: Sequence[Question],
    names: Sequence[str],
    system: ApiSystem,
    max_new_tokens: int,
    store: Path,
    label: str,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    beside: Sequence[Path] = (),
) -> list[Answer]:
    """Answer questions with a service, taking from the store what it has.

    The key is needed only if something is missing from the store. Every answer is in the store before the thread that
    got it goes on, so that a job that is killed loses no more than the requests that are under way.

    Args:
        questions: The questions: with audio, without for an LLM, or, for a recogniser, with audio alone.
        names: What to call each in messages, such as its item and voice.
        system: Who is asked.
        max_new_tokens: The task's longest answer.
        store: File of the append-only store.
        label: What the progress lines say.
        environ: The environment with the key.
        clock: Time; the real one by default.
        beside: Other stores of the same system, where the same question may have been answered. What is taken from
            there was paid for there.

    Returns:
        One answer a question, in order. A refusal is an answer without text.

    Raises:
        StudyError: Something the user has to put right, the budget is reached, or questions were left without an
            answer after all attempts; then all others are done and stored, and a file beside the store has the reasons.
    """
    spec = system.spec
    keys = [question_key(spec, question, max_new_tokens) for question in questions]
    if is_offline(system.config, environ):
        kept = read_store(store)
        _refuse_offline(sum(key not in kept for key in keys), len(keys), system, store)
        values = [kept[key] for key in keys]
    else:
        with Store(store) as records:
            records.add(_paid_elsewhere({key for key in keys if key not in records}, beside))
            missing = {
                key: (name, question)
                for key, name, question in zip(keys, names, questions, strict=True)
                if key not in records
            }
            job = _Job(system, records, max_new_tokens, Counter(keys), clock or Clock())
            with progress(label, len(keys), len(keys) - sum(job.copies[key] for key in missing)) as advance:
                if missing:
                    job.run(missing, api_key(system.name, spec, environ), advance)
            values = [records[key] for key in keys]
    found = [StoredAnswer.from_json(value) for value in values]
    print(_summary(system, found), file=sys.stderr, flush=True)
    return [record.answer(spec, question, max_new_tokens) for record, question in zip(found, questions, strict=True)]


def _paid_elsewhere(keys: set[str], stores: Sequence[Path]) -> list[tuple[str, dict[str, Any]]]:
    """Records of other stores, which cost nothing here."""
    found = {key: value for path in stores for key, value in read_store(path).items() if key in keys}
    return [(key, value | ({} if value["cost"] is None else {"cost": 0.0})) for key, value in found.items()]


def _refuse_offline(missing: int, count: int, system: ApiSystem, store: Path) -> None:
    if missing:
        raise StudyError(
            f"{missing} of {count} answers of {system.name} are not in {store}, and nothing may be asked offline: "
            f"unset {OFFLINE} and api.offline to ask for them"
        )


def _summary(system: ApiSystem, records: Sequence[StoredAnswer]) -> str:
    """What a job's answers came to, for its log."""
    reasons = Counter(record.finish_reason for record in records)
    versions = Counter(record.model_version or "unknown" for record in records)
    lines = [
        f"{what}: {', '.join(f'{name} ({count})' for name, count in counts.most_common())}"
        for what, counts in (("finished", reasons), ("answered by", versions))
    ]
    if len(versions) > 1:
        lines.append(f"Warning: {system.spec.model} changed in the midst of these answers")
    if uncounted := sum(record.usage is None for record in records):
        lines.append(f"Warning: the provider counted no tokens of {uncounted} answers; they are estimated")
    costs = [record.cost for record in records if record.cost is not None]
    if costs:
        lines.append(f"cost: {sum(costs):.4f} {system.spec.currency}")
    return "\n".join(f"{system.name}: {line}" for line in lines)


@dataclass
class _Job:
    """What the threads of a job share."""

    system: ApiSystem
    records: Store
    max_new_tokens: int
    copies: Counter[str]
    clock: Clock
    stop: threading.Event = field(default_factory=threading.Event)
    mutex: threading.Lock = field(default_factory=threading.Lock)
    problem: StudyError | None = None
    unanswered: Counter[str] = field(default_factory=Counter)
    in_a_row: int = 0

    def run(self, missing: Mapping[str, tuple[str, Question]], key: str, advance: Advance) -> None:
        """Ask what is missing.

        Raises:
            StudyError: Not everything has an answer now.
        """
        spec, ledger = self.system.spec, self.system.ledger()
        client = open_client(spec, key, self.system.role)
        limit = RateLimit(spec, self.system.folder, self.clock)
        # A text LLM may well say nothing to nothing; what hears is known to be cut off now and then.
        caller = ApiCaller(
            *(self.system.name, spec, client, limit, ledger, self.clock, self.stop),
            takes_empty=self.system.role == "llm",
        )
        queue = iter(missing.items())
        threads = min(spec.concurrency, len(missing))
        try:
            with ended_by_exceptions(), ThreadPoolExecutor(threads, thread_name_prefix="asking") as pool:
                try:
                    working = [pool.submit(self._work, caller, queue, advance) for _ in range(threads)]
                    for thread in working:
                        thread.result()
                finally:
                    # Requests under way are waited for, and their answers kept: they are paid for.
                    self.stop.set()
        finally:
            client.close()
        self._conclude(len(missing), ledger)

    def _work(self, caller: ApiCaller, queue: Iterator[tuple[str, tuple[str, Question]]], advance: Advance) -> None:
        """Ask one question after the other; what ends one thread ends all."""
        try:
            while not self.stop.is_set():
                with self.mutex:
                    key, (name, question) = next(queue, ("", ("", None)))
                if question is None:
                    return
                self._ask(caller, key, name, question, advance)
        except Stopped:
            return
        except StudyError as error:
            with self.mutex:
                self.problem = self.problem or error
            self.stop.set()
        except BaseException:
            self.stop.set()
            raise

    def _ask(self, caller: ApiCaller, key: str, name: str, question: Question, advance: Advance) -> None:
        spec = self.system.spec
        highest = most(spec, question, output_limit(spec, question, self.max_new_tokens))
        try:
            call = caller.ask(turns_of(question), highest)
        except Unanswered as error:
            with self.mutex:
                self._give_up(key, name, error)
            return
        except BudgetReached:
            raise
        except StudyError as error:
            raise StudyError(f"{name}: {error}") from None
        record = self._record(call, question)
        with self.mutex:
            self.records.add([(key, record.to_json())])
            self.in_a_row = 0
            advance(self.copies[key])
        caller.settle(call)

    def _record(self, call: Call, question: Question) -> StoredAnswer:
        reply, spec = call.reply, self.system.spec
        return StoredAnswer(
            text=reply.text,
            finish_reason=reply.finish_reason,
            model=spec.model,
            model_version=reply.model_version,
            response_id=reply.response_id,
            usage=reply.usage,
            cost=call.cost,
            currency=spec.currency,
            seconds=call.seconds,
            attempts=call.attempts,
            time=utc(self.clock.now()),
            unforced_prefix=question.answer_prefix,
        )

    @property
    def _letters(self) -> Path:
        return self.records.path.with_suffix(UNANSWERED)

    def _give_up(self, key: str, name: str, error: Unanswered) -> None:
        """Keep the reason why a question has no answer."""
        letter = {
            "key": key,
            "question": name,
            "reason": error.reason,
            "attempts": error.attempts,
            "time": utc(self.clock.now()),
        }
        with self._letters.open("ab") as file:
            file.write(json.dumps(letter, ensure_ascii=False).encode() + b"\n")
        self.unanswered[error.reason] += 1
        self.in_a_row += 1
        if self.in_a_row >= GIVE_UP_AFTER:
            self.stop.set()

    def _conclude(self, missing: int, ledger: Ledger) -> None:
        """Say what is left to do, if anything is."""
        lost = sum(self.unanswered.values())
        if self.problem is None and not lost:
            return
        name = self.system.name
        reasons = ", ".join(f"{reason} ({count})" for reason, count in self.unanswered.most_common(REASONS_SHOWN))
        spent = f"Used so far: {ledger.say()}."
        kept = "Every answer that came is kept: run again to ask for the rest only."
        if self.problem is not None:
            raise type(self.problem)(f"{name}: {self.problem}. {kept} {spent}") from self.problem
        how = (
            f"{GIVE_UP_AFTER} questions in a row got no answer, so no more was asked"
            if self.in_a_row >= GIVE_UP_AFTER
            else f"{lost} of {missing} questions got no answer"
        )
        raise StudyError(f"{name}: {how}: {reasons}; {self._letters} names them. {kept} {spent}")
