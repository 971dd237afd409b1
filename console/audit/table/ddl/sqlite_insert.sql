insert into entry (
    at, writer, seq, kind, action_id, parent, idempotency_key, body, body_hash, prev, link,
    witness, db_user, peer, seal
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
