-- A store of version 10, as SQLite dumps it.
PRAGMA user_version = 10;
BEGIN TRANSACTION;
CREATE TABLE account (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE announced (
  grp TEXT NOT NULL, actor TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (grp, actor)
) WITHOUT ROWID;
CREATE TABLE asked (device TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE awaited (
  actor TEXT NOT NULL, device TEXT NOT NULL, envelope TEXT NOT NULL, resend TEXT NOT NULL, received INTEGER NOT NULL,
  stored INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (actor, device, envelope)
) WITHOUT ROWID;
CREATE TABLE behind (
  grp TEXT NOT NULL, actor TEXT NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL,
  told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (grp, actor)
) WITHOUT ROWID;
CREATE TABLE chains (
  actor TEXT PRIMARY KEY, nodes BLOB NOT NULL, length INTEGER NOT NULL, head TEXT NOT NULL, accepted TEXT NOT NULL,
  uncompared INTEGER NOT NULL DEFAULT 0, verified TEXT, compared_with TEXT, alarm TEXT, alarm_at INTEGER,
  contact INTEGER NOT NULL DEFAULT 0, looked INTEGER NOT NULL, told INTEGER NOT NULL,
  proven TEXT NOT NULL DEFAULT '{}', confirmed INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "chains" VALUES('https://b.example/user/bob',X'5B5D',1,'','',0,NULL,NULL,NULL,NULL,1,5,1,'{}',5);
CREATE TABLE ciphertexts (
  envelope TEXT NOT NULL REFERENCES envelopes (id) ON DELETE CASCADE, device TEXT NOT NULL, content BLOB NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (envelope, device)
) WITHOUT ROWID;
CREATE TABLE conflicts (grp TEXT NOT NULL, actor TEXT NOT NULL, PRIMARY KEY (grp, actor)) WITHOUT ROWID;
CREATE TABLE departures (
  grp TEXT PRIMARY KEY, epoch INTEGER NOT NULL, members TEXT NOT NULL, again INTEGER
) WITHOUT ROWID;
CREATE TABLE envelopes (
  id TEXT PRIMARY KEY, message TEXT NOT NULL, recipient TEXT NOT NULL, plaintext BLOB, state INTEGER NOT NULL,
  made INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL, put INTEGER NOT NULL, reason TEXT,
  -- The devices whose mailboxes are full, as a JSON array of their addresses.
  full_devices TEXT NOT NULL DEFAULT '[]',
  -- claimed: 1 while a process sends it, which has until due.
  claimed INTEGER NOT NULL DEFAULT 0,
  -- silent: 1 if it wakes nobody and its author hears nothing of it. received: 1 once the recipient has
  -- sent a receipt for it. seen: 1 once the recipient has said that a person has read it. expires: the time
  -- from which it is of no more use.
  silent INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0,
  expires INTEGER, resent_to TEXT
) WITHOUT ROWID;
INSERT INTO "envelopes" VALUES('https://a.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd971','urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e01','https://b.example/user/bob',X'00',1,5,0,120005,5,NULL,'[]',1,0,0,0,NULL,NULL);
INSERT INTO "envelopes" VALUES('https://a.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd972','urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e01','https://a.example/user/alice',NULL,6,5,0,5,5,'their devices were all replaced','[]',0,0,0,0,NULL,NULL);
CREATE TABLE followed (
  conversation TEXT NOT NULL, device TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (conversation, device)
) WITHOUT ROWID;
CREATE TABLE gaps (
  conversation TEXT NOT NULL, device TEXT NOT NULL, actor TEXT NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, position INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, device, first)
) WITHOUT ROWID;
CREATE TABLE groups (id TEXT PRIMARY KEY, known BLOB NOT NULL, latest BLOB) WITHOUT ROWID;
CREATE TABLE held (
  row INTEGER PRIMARY KEY, grp TEXT NOT NULL, actor TEXT NOT NULL, device TEXT NOT NULL, author TEXT NOT NULL,
  awaited TEXT NOT NULL, awaited_device TEXT NOT NULL, received INTEGER NOT NULL, stored INTEGER NOT NULL, plaintext BLOB NOT NULL,
  why INTEGER NOT NULL, stranger INTEGER NOT NULL, warning TEXT
);
INSERT INTO "held" VALUES(1,'g','https://b.example/user/bob','d','https://b.example/user/bob','https://b.example/user/bob','d',5,5,X'01',1,0,NULL);
CREATE TABLE invitations (
  grp TEXT NOT NULL, actor TEXT NOT NULL, known BLOB NOT NULL, latest BLOB NOT NULL, at INTEGER NOT NULL,
  stranger INTEGER NOT NULL, declined INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (grp, actor)
) WITHOUT ROWID;
CREATE TABLE kyber_uses (
  kyber INTEGER NOT NULL, signed INTEGER NOT NULL, base_key BLOB NOT NULL, PRIMARY KEY (kyber, signed, base_key)
) WITHOUT ROWID;
CREATE TABLE messages (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL, actor TEXT NOT NULL, device TEXT NOT NULL, conversation TEXT NOT NULL,
  outgoing INTEGER NOT NULL, sequence INTEGER, published INTEGER NOT NULL, received INTEGER NOT NULL,
  stored INTEGER NOT NULL, text TEXT NOT NULL, attachments TEXT NOT NULL, warning TEXT,
  position INTEGER, placed INTEGER, shown INTEGER NOT NULL DEFAULT 0, request INTEGER NOT NULL DEFAULT 0,
  UNIQUE (actor, id)
);
INSERT INTO "messages" VALUES(1,'urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e01','https://a.example/user/alice','https://a.example/user/alice/device/1','https://b.example/user/bob',1,1,5,5,5,'hello','[]',NULL,1,NULL,1,0);
CREATE TABLE notices (
  row INTEGER PRIMARY KEY AUTOINCREMENT, actor TEXT NOT NULL, kind INTEGER NOT NULL, about TEXT NOT NULL,
  number INTEGER NOT NULL, head TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0,
  told INTEGER NOT NULL DEFAULT 0, UNIQUE (actor, kind, about)
);
CREATE TABLE own_nodes (hash TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pre_keys (
  kind INTEGER NOT NULL, id INTEGER NOT NULL, secret BLOB NOT NULL, made INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE read_envelopes (
  actor TEXT NOT NULL, envelope TEXT NOT NULL, device TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (actor, envelope, device)
) WITHOUT ROWID;
CREATE TABLE receipts (
  row INTEGER PRIMARY KEY, actor TEXT NOT NULL, kind INTEGER NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL,
  UNIQUE (actor, kind, device, id)
);
INSERT INTO "receipts" VALUES(1,'https://c.example/user/carol',4,'d','e');
CREATE TABLE sequences (conversation TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
  device TEXT PRIMARY KEY, actor TEXT NOT NULL, record BLOB NOT NULL, renew INTEGER NOT NULL DEFAULT 0,
  renewed INTEGER NOT NULL DEFAULT 0, ended INTEGER
) WITHOUT ROWID;
CREATE TABLE views (
  device TEXT NOT NULL, conversation TEXT NOT NULL, actor TEXT NOT NULL, hash TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (device, conversation)
) WITHOUT ROWID;
CREATE INDEX messages_in_order ON messages (position);
CREATE INDEX messages_by_placing ON messages (placed) WHERE placed IS NOT NULL;
CREATE INDEX messages_in_conversation ON messages (conversation, position);
CREATE INDEX messages_waiting ON messages (conversation, device, sequence) WHERE position IS NULL;
CREATE INDEX messages_unshown ON messages (position) WHERE shown = 0;
CREATE INDEX messages_requested ON messages (actor) WHERE request = 1;
CREATE INDEX gaps_by_position ON gaps (position);
CREATE INDEX gaps_untold ON gaps (actor) WHERE told = 0;
CREATE INDEX awaited_by_resend ON awaited (device, resend);
CREATE INDEX awaited_by_position ON awaited (position);
CREATE INDEX envelopes_kept ON envelopes (made) WHERE state > 2 AND plaintext IS NOT NULL;
CREATE INDEX envelopes_due ON envelopes (due) WHERE state = 1;
CREATE INDEX envelopes_of_message ON envelopes (message);
CREATE INDEX read_envelopes_by_age ON read_envelopes (at);
CREATE INDEX held_of_group ON held (grp, row);
CREATE INDEX held_of_author ON held (stranger, actor, row);
DELETE FROM "sqlite_sequence";
COMMIT;
