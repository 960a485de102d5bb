"""Limits the models that a project may use, by an allow list or a deny list."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session

from shared.projects import service as projects
from shared.projects.models import ModelMode, Project


@dataclass(frozen=True, slots=True)
class ModelRule:
    mode: ModelMode
    ids: frozenset[str]

    def allows(self, names: Collection[str]) -> bool:
        """Whether a model may be used; `names` are its id, its alias and those of its base model."""
        return self.ids.isdisjoint(names) == (self.mode is ModelMode.DENY_LIST)


def rule_of(project: Project) -> ModelRule | None:
    return ModelRule(project.model_mode, frozenset(project.model_ids)) if project.model_mode else None


def permit_models(session: Session, project_id: str, mode: ModelMode, ids: Collection[str]) -> Project:
    """Set the rule. It applies to new jobs and chats within a second; existing jobs are not checked again."""
    project = projects.get_active_project(session, project_id)
    project.model_mode, project.model_ids = mode, sorted(set(ids))
    return project


def permit_all_models(session: Session, project_id: str) -> None:
    project = projects.get_project(session, project_id)
    project.model_mode, project.model_ids = None, []
