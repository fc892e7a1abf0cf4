"""Two logs behind one face: Kafka in production, one SQLite file embedded."""
