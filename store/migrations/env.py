"""Alembic's entry: it runs on the connection that `store.schema.migrate` opened."""

from alembic import context

from store.schema import VERSION_TABLE
from store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
