"""Pages of the study lead."""

from fastapi import APIRouter

router = APIRouter()
