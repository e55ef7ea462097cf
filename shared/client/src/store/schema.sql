-- The tables of a device's store. Times are in epoch milliseconds, addresses are URLs, hashes are
-- lower-case hex.

-- The device itself: one value for each name.
CREATE TABLE account (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- The private halves of prekeys. kind: 1 signed, 2 one-time, 3 Kyber (secret is the seed). made: when it was
-- made, or once the server has taken the successor of a signed prekey or a last-resort key, when that was.
CREATE TABLE pre_keys (
  kind INTEGER NOT NULL, id INTEGER NOT NULL, secret BLOB NOT NULL, made INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- First messages that were read under a last-resort key, so that none is read twice.
CREATE TABLE kyber_uses (
  kyber INTEGER NOT NULL, signed INTEGER NOT NULL, base_key BLOB NOT NULL, PRIMARY KEY (kyber, signed, base_key)
) WITHOUT ROWID;

-- The sessions with other devices. renew: 1 if a message begins a new session, once the last renewal
-- is long enough ago. renewed: the time of the last renewal. ended: the time at which this device saw
-- that the other one was revoked.
CREATE TABLE sessions (
  device TEXT PRIMARY KEY, actor TEXT NOT NULL, record BLOB NOT NULL, renew INTEGER NOT NULL DEFAULT 0,
  renewed INTEGER NOT NULL DEFAULT 0, ended INTEGER
) WITHOUT ROWID;

-- Device chains as they were last verified. accepted: hash of the root node that the user accepts.
-- uncompared: 1 if the user has accepted a reset, and has compared no safety numbers since.
-- verified: hash of the head for which the user compared safety numbers, and compared_with: that of
-- the own head then. alarm: a contradiction that the server showed, and its time. contact: 1 if the
-- user has accepted this person as a contact, as `decisions` says.
-- length, head: the device set. looked: when the chain was last read. told: the number of nodes that
-- the user was told of. proven: for each device of the owner, a head that it has signed and that this
-- chain lacks (JSON).
-- confirmed: the newest time at which a device of the owner stated a head that this chain has, or at
-- which the user accepted the chain.
CREATE TABLE chains (
  actor TEXT PRIMARY KEY, nodes BLOB NOT NULL, length INTEGER NOT NULL, head TEXT NOT NULL, accepted TEXT NOT NULL,
  uncompared INTEGER NOT NULL DEFAULT 0, verified TEXT, compared_with TEXT, alarm TEXT, alarm_at INTEGER,
  contact INTEGER NOT NULL DEFAULT 0, looked INTEGER NOT NULL, told INTEGER NOT NULL,
  proven TEXT NOT NULL DEFAULT '{}', confirmed INTEGER NOT NULL
) WITHOUT ROWID;

-- The user's decisions about people, on this device or another one. accepted: 1 if the person is a contact.
-- declined: the time at which the server accepted the last request that was declined. untold: 1 if the
-- other devices of the user do not know of it yet.
CREATE TABLE decisions (
  actor TEXT PRIMARY KEY, accepted INTEGER NOT NULL DEFAULT 0, declined INTEGER, untold INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX decisions_untold ON decisions (actor) WHERE untold = 1;

-- The hashes of the nodes of the own chain that this device has made.
CREATE TABLE own_nodes (hash TEXT PRIMARY KEY) WITHOUT ROWID;

-- Devices that stated another hash of the device sets of a conversation than this device has. sent:
-- 1 once this device has sent them its own view.
CREATE TABLE views (
  device TEXT NOT NULL, conversation TEXT NOT NULL, actor TEXT NOT NULL, hash TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (device, conversation)
) WITHOUT ROWID;

-- Messages. position: NULL until the messages before it have theirs. placed: a later number, if the place
-- had been kept since an earlier time, and 0 until it is shown there. shown: 1 once it was shown, 2 while
-- a program that shows another conversation has left it.
-- request: 1 if a stranger wrote it and the user has not accepted that.
CREATE TABLE messages (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL, actor TEXT NOT NULL, device TEXT NOT NULL, conversation TEXT NOT NULL,
  outgoing INTEGER NOT NULL, sequence INTEGER, published INTEGER NOT NULL, received INTEGER NOT NULL,
  stored INTEGER NOT NULL, text TEXT NOT NULL, attachments TEXT NOT NULL, warning TEXT,
  position INTEGER, placed INTEGER, shown INTEGER NOT NULL DEFAULT 0, request INTEGER NOT NULL DEFAULT 0,
  UNIQUE (actor, id)
);
CREATE INDEX messages_in_order ON messages (position);
CREATE INDEX messages_by_placing ON messages (placed) WHERE placed IS NOT NULL;
CREATE INDEX messages_in_conversation ON messages (conversation, position);
CREATE INDEX messages_waiting ON messages (conversation, device, sequence) WHERE position IS NULL;
CREATE INDEX messages_unshown ON messages (position) WHERE shown = 0;
CREATE INDEX messages_requested ON messages (actor) WHERE request = 1;

-- What the user can report of messages: the JSON of a `Flag`. It goes with its message.
CREATE TABLE evidence (
  actor TEXT NOT NULL, id TEXT NOT NULL, flag TEXT NOT NULL, PRIMARY KEY (actor, id)
) WITHOUT ROWID;
CREATE TRIGGER evidence_ends AFTER DELETE ON messages BEGIN
  DELETE FROM evidence WHERE actor = OLD.actor AND id = OLD.id;
END;

-- Messages that their device has numbered and that have not come, from first to last. position: that
-- of the message after them. told: 1 once their author was told.
CREATE TABLE gaps (
  conversation TEXT NOT NULL, device TEXT NOT NULL, actor TEXT NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, position INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, device, first)
) WITHOUT ROWID;
CREATE INDEX gaps_by_position ON gaps (position);
CREATE INDEX gaps_untold ON gaps (actor) WHERE told = 0;

-- Numbers of a device, from first to last, under which nothing comes any more: their messages were not
-- sent, or came from another device. They are kept until a later message has its position.
CREATE TABLE void_numbers (
  conversation TEXT NOT NULL, device TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (conversation, device, first)
) WITHOUT ROWID;

-- Messages that could not be decrypted and have not come again. resend: the id of the envelope in which they
-- do. stored: when they came. position: their place among the messages.
CREATE TABLE awaited (
  actor TEXT NOT NULL, device TEXT NOT NULL, envelope TEXT NOT NULL, resend TEXT NOT NULL, received INTEGER NOT NULL,
  stored INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (actor, device, envelope)
) WITHOUT ROWID;
CREATE INDEX awaited_by_resend ON awaited (device, resend);
CREATE INDEX awaited_by_position ON awaited (position);

-- The devices whose users were told of envelopes that cannot be decrypted, and when.
CREATE TABLE asked (device TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;

-- What the next receipt to an author says. kind: 1 the activity `id` is in a conversation, 2 the
-- envelope `id` of `device` cannot be decrypted, 3 the user has read the message `id`. Nothing is said of
-- the envelope `id` of a stranger: 4 it was not kept, 5 it is kept as a request (of one author they have the
-- order of the messages), 6 it was not kept and was asked for since, 7 it was declined.
-- received: the time at which the server accepted a stranger's envelope.
CREATE TABLE receipts (
  row INTEGER PRIMARY KEY, actor TEXT NOT NULL, kind INTEGER NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL,
  received INTEGER, UNIQUE (actor, kind, device, id)
);

-- Notices that the user was not told of. kind: 1 envelopes that were made up (number), 2 the
-- actor has seen a device set of `about` (number is its length), 3 the actor tells different things in
-- the group `about`, 4 a server contradicts the chain of the actor (head is the contradiction, as JSON), 5 the
-- actor changes the group `about` as an admin that this device does not know as one, 6 the actor has undone
-- a change (about is the notice, as JSON), 7 the actor has not received the messages `about` (a JSON array of
-- ids), 8 the actor could not decrypt the message `about`, 9 the actor could not be told of the last change of
-- the group `about`, 10 the actor has moved to the account `about`, 11 the actor is said to have moved to the
-- account of the handle `about`, which is not proven (head is the reason), 12 the chain of the actor was lost
-- with a part of the store (number is 1 if the user had compared safety numbers).
-- settled: 1 if the chain of `about` was read again since. told: 1 once the user was told: such a notice
-- of kind 2, 4 or 11 stays, so that it is not told again.
CREATE TABLE notices (
  row INTEGER PRIMARY KEY AUTOINCREMENT, actor TEXT NOT NULL, kind INTEGER NOT NULL, about TEXT NOT NULL,
  number INTEGER NOT NULL, head TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0,
  told INTEGER NOT NULL DEFAULT 0, UNIQUE (actor, kind, about)
);

-- The last number of this device in each conversation, and the last one that was followed of each
-- other device.
CREATE TABLE sequences (conversation TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE followed (
  conversation TEXT NOT NULL, device TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (conversation, device)
) WITHOUT ROWID;

-- Envelopes, one for each recipient. The plaintext is kept for some time after the outcome is known, to be
-- sent again. resent_to: the only device that it is for, if it is sent again (message is then that of the
-- first one). state: 1
-- to be sent, 2 queued by the own server, 3 accepted, 4 delivered, 5 failed, 6 refused. put: the time at
-- which due was put; one that lies ahead was put by a wrong clock, and the envelope is due.
CREATE TABLE envelopes (
  id TEXT PRIMARY KEY, message TEXT NOT NULL, recipient TEXT NOT NULL, plaintext BLOB, state INTEGER NOT NULL,
  made INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL, put INTEGER NOT NULL, reason TEXT,
  -- The devices whose mailboxes are full, as a JSON array of their addresses.
  full_devices TEXT NOT NULL DEFAULT '[]',
  -- claimed: the number of the process that sends it, which has until due. 0: none does.
  claimed INTEGER NOT NULL DEFAULT 0,
  -- silent: 1 if it wakes nobody and its author hears nothing of it, 2 if it also asks for what could not be
  -- read. received: 1 once the recipient has
  -- sent a receipt for it. seen: 1 once the recipient has said that a person has read it. expires: the time
  -- from which it is of no more use.
  silent INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0,
  expires INTEGER, resent_to TEXT
) WITHOUT ROWID;
CREATE INDEX envelopes_kept ON envelopes (made) WHERE state > 2 AND plaintext IS NOT NULL;
CREATE INDEX envelopes_due ON envelopes (due) WHERE state = 1;
CREATE INDEX envelopes_of_message ON envelopes (message);
CREATE INDEX envelopes_lost ON envelopes (recipient) WHERE state > 4;

-- The ciphertexts of envelopes, which stay the same in every attempt. accepted: 1 if the
-- recipient's server has it. Once the outcome is known, empty ones tell for which devices they were.
-- received: 1 once the device has sent a receipt.
CREATE TABLE ciphertexts (
  envelope TEXT NOT NULL REFERENCES envelopes (id) ON DELETE CASCADE, device TEXT NOT NULL, content BLOB NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (envelope, device)
) WITHOUT ROWID;

-- Ciphertexts that were read, so that none is read twice.
CREATE TABLE read_envelopes (
  actor TEXT NOT NULL, envelope TEXT NOT NULL, device TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (actor, envelope, device)
) WITHOUT ROWID;
CREATE INDEX read_envelopes_by_age ON read_envelopes (at);

-- Groups: the JSON of `KnownGroup`, which also says whether a new master key is due. latest: the
-- newest control, as it came.
CREATE TABLE groups (id TEXT PRIMARY KEY, known BLOB NOT NULL, latest BLOB) WITHOUT ROWID;

-- The actors who have shown another history of a group.
CREATE TABLE conflicts (grp TEXT NOT NULL, actor TEXT NOT NULL, PRIMARY KEY (grp, actor)) WITHOUT ROWID;

-- The groups that this user has left: the epoch and the members (a JSON array) of the state that was
-- left. again: the time of the last control that brought the user back, and was answered by leaving.
CREATE TABLE departures (
  grp TEXT PRIMARY KEY, epoch INTEGER NOT NULL, members TEXT NOT NULL, again INTEGER
) WITHOUT ROWID;

-- Groups that this user was brought into and has not joined, by the actor who sent the control.
-- stranger: 1 if that actor is no contact. declined: 1 if the user wants none of it.
CREATE TABLE invitations (
  grp TEXT NOT NULL, actor TEXT NOT NULL, known BLOB NOT NULL, latest BLOB NOT NULL, at INTEGER NOT NULL,
  stranger INTEGER NOT NULL, declined INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (grp, actor)
) WITHOUT ROWID;

-- The states of groups that members were told of because they had others. at: the time of the last
-- telling.
CREATE TABLE announced (
  grp TEXT NOT NULL, actor TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (grp, actor)
) WITHOUT ROWID;

-- Members who do not have the current state of a group, and since when. told: 1 once the user was told.
CREATE TABLE behind (
  grp TEXT NOT NULL, actor TEXT NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL,
  told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (grp, actor)
) WITHOUT ROWID;

-- Activities of groups that cannot be judged yet. why: 1 a later epoch, 2 a group that the user has
-- not joined, 3 an author whose devices were all replaced, 4 a device that is not known, 5 an author who is
-- not in the group.
-- actor, device: the sender. author: another than the sender if the sender forwards a control. awaited:
-- the actor of whose chain it waits for a device. stranger: 1 if the sender is neither a contact nor a member.
-- place: the position that was kept for it, if it was sent again.
CREATE TABLE held (
  row INTEGER PRIMARY KEY, grp TEXT NOT NULL, actor TEXT NOT NULL, device TEXT NOT NULL, author TEXT NOT NULL,
  awaited TEXT NOT NULL, awaited_device TEXT NOT NULL, received INTEGER NOT NULL, stored INTEGER NOT NULL, plaintext BLOB NOT NULL,
  why INTEGER NOT NULL, stranger INTEGER NOT NULL, warning TEXT, place INTEGER
);
CREATE INDEX held_of_group ON held (grp, row);
CREATE INDEX held_of_author ON held (stranger, actor, row);
-- What the user can report of them once they are messages: the JSON of a `Flag`.
CREATE TABLE held_evidence (row INTEGER PRIMARY KEY, flag TEXT NOT NULL);
CREATE TRIGGER held_evidence_ends AFTER DELETE ON held BEGIN
  DELETE FROM held_evidence WHERE row = OLD.row;
END;
