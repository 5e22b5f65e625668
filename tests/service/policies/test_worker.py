"""The process that computes previews, asked by many, and asked what it cannot answer."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from gatepost.domain.policies import Policy
from gatepost.errors import Problem, ServiceError
from gatepost.service.policies.preview import Wanted
from gatepost.service.policies.worker import MOST_OF_A_TENANT, Worker
from tests.fixtures.service import Service

WANTED = Wanted(Policy().document())


@pytest.mark.anyio
async def test_no_tenant_keeps_others_from_their_previews(service: Service, anyio_backend: str) -> None:
    """Some questions of one tenant wait, more are refused at once; a question that goes wrong ends nothing."""
    worker = Worker(service.urls.app)
    try:
        many = [worker.preview(service.tenant_id, WANTED) for _ in range(MOST_OF_A_TENANT + 3)]
        *told, another = await asyncio.gather(*many, worker.preview(uuid4(), WANTED), return_exceptions=True)
        refused = [each for each in told if isinstance(each, Problem)]
        assert [(each.status, each.type, each.fields) for each in refused] == [(503, "busy", {"retry_after": 5})] * 3
        assert isinstance(another, dict)
        process = worker._process
        with pytest.raises(ServiceError, match="The preview failed"):
            await worker.preview(
                service.tenant_id,
                replace(WANTED, now=datetime(1, 1, 1, tzinfo=UTC), document={"grace": {"warn": 1, "unmanaged": 9}}),
            )
        assert (await worker.preview(service.tenant_id, WANTED))["devices"] == 0
        assert worker._process is process
    finally:
        await worker.close()
