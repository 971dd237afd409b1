-- Purpose: how this very login logs in, where accounts may not be read; MariaDB shows its verifier, which is dropped at once
-- Privilege: none
-- Cost: constant; asked once for a plan, never polled
show create user current_user()
