"""PostgreSQL: a room for each table with its rows and statements, the migrations, the connections and the locks."""
