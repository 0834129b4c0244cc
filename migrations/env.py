"""What Alembic runs; the connection, its transaction and its checks are nvr.store.upgrade's."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
