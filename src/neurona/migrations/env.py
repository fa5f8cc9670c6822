"""What Alembic runs to take the steps: on the connection, and in the transaction, that it was given."""

from alembic import context

from neurona.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
