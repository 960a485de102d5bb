"""A project with something of everything, for pages to show: `ids` has the ids that addresses need."""

from tests.world import Person, work


def ids(person: Person) -> dict[str, str]:
    """Make jobs in the project. Pages that show more add it here."""
    file = person.upload()
    job = person.create_job(training_file=file, suffix="support", metadata={"team": "support"})
    work(3)
    return {"file": file, "job": job}
