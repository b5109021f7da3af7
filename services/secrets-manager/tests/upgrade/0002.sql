-- The database of 0001.sql, as the migration 0002 left it.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('0002');
CREATE TABLE api_keys (
	key_id VARCHAR NOT NULL, 
	identity VARCHAR NOT NULL, 
	hash BLOB NOT NULL, 
	label VARCHAR NOT NULL, 
	audiences VARCHAR NOT NULL, 
	created_at DOUBLE NOT NULL, 
	created_by VARCHAR NOT NULL, 
	expires_at DOUBLE, 
	enabled BOOLEAN NOT NULL, 
	revoked_at DOUBLE, 
	last_used_at DOUBLE, 
	mac BLOB NOT NULL, 
	CONSTRAINT pk_api_keys PRIMARY KEY (key_id), 
	CONSTRAINT fk_api_keys_identity FOREIGN KEY(identity) REFERENCES identities (name)
);
INSERT INTO api_keys VALUES('i67dmi4jz3veqy','admin',X'c24611c16a4fba2abc766b78a7b520059fad533517507331edd6c65d568a1494','key file','',1735787054.725859642,'secrets-manager',NULL,1,NULL,1735787097.0275492668,X'49986c4872158c3b562985035fe7670fd2a589bad2997a45e90716b9b056c5d2');
INSERT INTO api_keys VALUES('ebgnhqm9468zvs','notification',X'd8fb3cabf70843fe2f8c9b820068777a74ed867d6f5ce874f722d7869f9b9f35','key file','',1735787054.8049368858,'secrets-manager',NULL,1,NULL,NULL,X'9ebd59bbfd09941830c3681f015d3d03b3b24d3de501dd22920d2856f08ef678');
INSERT INTO api_keys VALUES('wek431c6a61omd','gateway-lookup',X'22c5ba29f644d4ad9a906827162205d260620ba70b91005f5571e030a1f2bd54','key file','',1735787054.8467462063,'secrets-manager',NULL,1,NULL,NULL,X'ec6d823483b3d556f2120fc3cb3829fc16fba5774c4b67713c6c5273d181e14c');
INSERT INTO api_keys VALUES('rt1e8yf1pkrqhx','example-consumer',X'7b5c016270c10c1eee67acbca2f2bae28d82e97a815ca3749436a067cda13a0c','key file','',1735787054.9426870345,'secrets-manager',NULL,1,NULL,NULL,X'e6be839ca49752c1f8616b1b6abf194c61585adb91fc155a6ea00b36199adcd0');
INSERT INTO api_keys VALUES('tjfu7x9ynj8hu3','ada',X'cb00e6a5fc86a68402ebeae9a4a31720f7a459f813d73d1f4e4acb0f029fc516','','',1735787080.934851408,'admin',NULL,1,NULL,NULL,X'f98d5c0e1c92a9a626bcdeba3c38a59ef101d719f9c03754ec06325e49cecaca');
INSERT INTO api_keys VALUES('firstversion01','admin',X'970147dc98bd9c4f53e7bf9cf4c95325c2748fe4e0003549f7c176b7ff1609da','of the tests','',1735787081.0354967117,'admin',NULL,1,NULL,NULL,X'a336ecbabf9716442db501f6eef1242c884014605f5181df61e600a99cf7ed6a');
INSERT INTO api_keys VALUES('822coxwxmj2uo4','bob',X'15e768c0eb8545e261f6c8ec5085ff13d859ce89f78490b4603d98a24b5f48c6','','',1735787099.9823067188,'admin',NULL,1,1735787100.5907845497,NULL,X'b4abc6f3bbbbcde9fdf13c770e4b66d16351a7d4fdda5406969d519812fa513c');
CREATE TABLE audit_anchors (
	seq INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	at DOUBLE NOT NULL, 
	signature BLOB NOT NULL, 
	CONSTRAINT pk_audit_anchors PRIMARY KEY (seq)
);
INSERT INTO audit_anchors VALUES(25,X'd11e50821faa8fa95d3ffa5fb3cdf306711b80cb32f5eb2d61195b5e5da067ad',1735787102.3670001029,X'fdc37416fd3745dda444b87206985f204fcd108be7d078ae46aba8b38b0eb4a58d17642d03d167957ac34210a08b5d746461c37478e829c7e4ab34d8d20dfc0c');
INSERT INTO audit_anchors VALUES(26,X'bc85156ef0c4547b8247a36c61503663634a4b58c4ca8b2ff0f26dcfd742d5ad',1735787103.8120000362,X'2a0c9b2d80c006a74b6418c6a1b2bd51c8ffd1f4e9b60c012747c470d4df69d257657c129e3b39b4cfa0d28526594b0d27fbe75011563c6d9b90d022d88c8e09');
CREATE TABLE audit_head (
	id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	mac BLOB NOT NULL, 
	CONSTRAINT pk_audit_head PRIMARY KEY (id)
);
INSERT INTO audit_head VALUES(1,26,X'bc85156ef0c4547b8247a36c61503663634a4b58c4ca8b2ff0f26dcfd742d5ad',X'3b2b81b37a2ba115646a93266af848d95b322c7a2dd9081881f6f50eeb88b2e9');
CREATE TABLE audit_records (
	seq INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	caller VARCHAR NOT NULL, 
	key_id VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	client VARCHAR NOT NULL, 
	through_edge BOOLEAN NOT NULL, 
	request_id VARCHAR NOT NULL, 
	previous BLOB NOT NULL, 
	hash BLOB NOT NULL, 
	mac BLOB NOT NULL, 
	CONSTRAINT pk_audit_records PRIMARY KEY (seq)
);
INSERT INTO audit_records VALUES(1,1735787054.6458930969,'secrets-manager','','signing-keys:rotate','signing-keys','allowed','{"emergency":false,"kid":"OXAKsJBEqYl9g_a0vYzpURxmzCemE08tt9abdftdTsw","signs_from":1735787054.2064886}','',0,'',X'0000000000000000000000000000000000000000000000000000000000000000',X'b2810b7cad36175b492be3790bbb51300bb17e5721251862662fe6b01f6cb723',X'4908ebe2f8460254460f949501d2e524');
INSERT INTO audit_records VALUES(2,1735787054.7034490108,'secrets-manager','','identities:create','identities/admin','allowed','{"kind":"person","remote":true,"roles":["admin"]}','',0,'',X'b2810b7cad36175b492be3790bbb51300bb17e5721251862662fe6b01f6cb723',X'58f02fd83cd8ccb0d081949bbec65f575d4dff20d8e53a2fc39cf2a9c753f5fd',X'fa4c9997e1d7ae3006f9ca7dc4d9febb');
INSERT INTO audit_records VALUES(3,1735787054.7260200976,'secrets-manager','','keys:create','identities/admin','allowed','{"audiences":[],"expires_at":null,"key_id":"i67dmi4jz3veqy"}','',0,'',X'58f02fd83cd8ccb0d081949bbec65f575d4dff20d8e53a2fc39cf2a9c753f5fd',X'8ea7af4ca387d4c591a0346ac0a0b7373061b9822e0fcd6c947a0ef9c60f20a5',X'f56a30b4b9edd996f609f3e1e6c85d48');
INSERT INTO audit_records VALUES(4,1735787054.7662930488,'secrets-manager','','identities:create','identities/notification','allowed','{"kind":"service","remote":false,"roles":["service"]}','',0,'',X'8ea7af4ca387d4c591a0346ac0a0b7373061b9822e0fcd6c947a0ef9c60f20a5',X'c7d67053155d9c2ce8181e3947fe92f63b67ce332b3682e0115fbb20488e9ac1',X'0a76f5fda6b97e48f0110273a28756ee');
INSERT INTO audit_records VALUES(5,1735787054.7868669032,'secrets-manager','','secrets:write','secrets/notification','allowed','{"digest":"281b4fa95e10a525fc676934b316c153","keys":["DATA_KEY","DB_PASSWORD","JWT_SECRET"],"operation":"create","version":1}','',0,'',X'c7d67053155d9c2ce8181e3947fe92f63b67ce332b3682e0115fbb20488e9ac1',X'c40d0a92e3f118b510520bc75a05a5ef056876c2065c897f2148adfeff32c749',X'181bf715f67650eadfad6c858aba39bc');
INSERT INTO audit_records VALUES(6,1735787054.8052461147,'secrets-manager','','keys:create','identities/notification','allowed','{"audiences":[],"expires_at":null,"key_id":"ebgnhqm9468zvs"}','',0,'',X'c40d0a92e3f118b510520bc75a05a5ef056876c2065c897f2148adfeff32c749',X'2fe6048a3e60aa39cfa9ec7342f6b64defa9a51eb60c79f69c44878a451793ac',X'b38f388fd0ccbafc058c266dbfef3607');
INSERT INTO audit_records VALUES(7,1735787054.842391014,'secrets-manager','','identities:create','identities/gateway-lookup','allowed','{"kind":"service","remote":false,"roles":["service"]}','',0,'',X'2fe6048a3e60aa39cfa9ec7342f6b64defa9a51eb60c79f69c44878a451793ac',X'55e343a345bf86471c99e106c128a3052da80184d53c0e4d6949cb9eb9a62cfa',X'8ce37e88cf697552f329ca5fba7b3fe3');
INSERT INTO audit_records VALUES(8,1735787054.8454949855,'secrets-manager','','secrets:write','secrets/gateway-lookup','allowed','{"digest":"decc3ad69d86b3de529e03640d11e46d","keys":["DB_PASSWORD","JWT_SECRET"],"operation":"create","version":1}','',0,'',X'55e343a345bf86471c99e106c128a3052da80184d53c0e4d6949cb9eb9a62cfa',X'90053050b47191a2ff5f6c3164636887baacefd509c097d867f1e50c329bbf7e',X'0124990e51f3a1c6f994aa02cf763f14');
INSERT INTO audit_records VALUES(9,1735787054.8468179702,'secrets-manager','','keys:create','identities/gateway-lookup','allowed','{"audiences":[],"expires_at":null,"key_id":"wek431c6a61omd"}','',0,'',X'90053050b47191a2ff5f6c3164636887baacefd509c097d867f1e50c329bbf7e',X'bc17795bcf9994f9fe5e568262f4a2553b916f7f48a44434be92d3f7b9642532',X'ee9340463f6d4b18443271e17a0d3356');
INSERT INTO audit_records VALUES(10,1735787054.9052081107,'secrets-manager','','identities:create','identities/example-consumer','allowed','{"kind":"service","remote":false,"roles":["service"]}','',0,'',X'bc17795bcf9994f9fe5e568262f4a2553b916f7f48a44434be92d3f7b9642532',X'b9b888efb284680646ecb7eb06bef9047e1623c5bf9da1b3f19303bac1065453',X'cd6189806394059c26d912382ea9d50f');
INSERT INTO audit_records VALUES(11,1735787054.9235999584,'secrets-manager','','secrets:write','secrets/example-consumer','allowed','{"digest":"30b62994f09ca64a5994af8f73edc623","keys":["DB_PASSWORD","JWT_SECRET"],"operation":"create","version":1}','',0,'',X'b9b888efb284680646ecb7eb06bef9047e1623c5bf9da1b3f19303bac1065453',X'0535db7566a0f935f597d4f734562fd783539326c4e4bee6dc4a001a987a7583',X'0194ce611854afb71a974cb53ca2f319');
INSERT INTO audit_records VALUES(12,1735787054.9428989887,'secrets-manager','','keys:create','identities/example-consumer','allowed','{"audiences":[],"expires_at":null,"key_id":"rt1e8yf1pkrqhx"}','',0,'',X'0535db7566a0f935f597d4f734562fd783539326c4e4bee6dc4a001a987a7583',X'52174426d31dd1eeaf73c87c9f39fbd1f2f7477be1b90e98bfe54382f33a50a0',X'c6e214beecbbd7998d702850b1532961');
INSERT INTO audit_records VALUES(13,1735787058.8299379348,'admin','','tokens:issue','identities/admin','allowed','{"audience":["secrets-manager","notification","gateway-lookup"],"key_id":"i67dmi4jz3veqy"}','testclient',0,'c92ba2b832b78c16212ac5a373c4b627',X'52174426d31dd1eeaf73c87c9f39fbd1f2f7477be1b90e98bfe54382f33a50a0',X'ce415142d3e47ffaa263c7ebed2bc5011ba2bf658fade1f25739ef681a9646b3',X'3f930aab8d0d3880a3419a317ea2eb5b');
INSERT INTO audit_records VALUES(14,1735787069.2751619815,'admin','i67dmi4jz3veqy','identities:create','identities/ada','allowed','{"kind":"person","remote":true,"roles":["operator"]}','testclient',0,'06c97bacd2b3fd1d73d793a81cdf6ede',X'ce415142d3e47ffaa263c7ebed2bc5011ba2bf658fade1f25739ef681a9646b3',X'1dfbfe2cabc3b53cb73d18a3c53711a3bbe8a79c385894ed1f569e37b2a45e40',X'6fcd103aaec65e3d54da4262462898e4');
INSERT INTO audit_records VALUES(15,1735787080.9349670409,'admin','i67dmi4jz3veqy','keys:create','identities/ada','allowed','{"audiences":[],"expires_at":null,"key_id":"tjfu7x9ynj8hu3"}','testclient',0,'9aa42712f56d6af97d3c8408dd086a1d',X'1dfbfe2cabc3b53cb73d18a3c53711a3bbe8a79c385894ed1f569e37b2a45e40',X'5c42b78d336fcfc0222e50f3c02b4c36f1a148834413d07b214c1c0801a38a8d',X'608caccf9d5d658069a557b26de180d3');
INSERT INTO audit_records VALUES(16,1735787081.0189828872,'admin','','tokens:issue','identities/admin','allowed','{"audience":["secrets-manager","notification","gateway-lookup"],"key_id":"i67dmi4jz3veqy"}','testclient',0,'d44fc24aa93d18f459a1d11984f18875',X'5c42b78d336fcfc0222e50f3c02b4c36f1a148834413d07b214c1c0801a38a8d',X'b94d4ec2c7267884df53906aa1ff686d0adeaa665e456c7f860e1bac0794d05e',X'bbda2bf3ab1db6375acf0e63d21a3c55');
INSERT INTO audit_records VALUES(17,1735787085.1415319442,'admin','i67dmi4jz3veqy','secrets:write','secrets/shop','allowed','{"digest":"22a417384911b3d78a961c7fb6c60877","keys":["COLOUR","DB_PASSWORD","JWT_SECRET"],"operation":"create","version":1}','testclient',0,'e97d3fd0954039596c42ff41e5dbe893',X'b94d4ec2c7267884df53906aa1ff686d0adeaa665e456c7f860e1bac0794d05e',X'31cbaaa4c2c73d86266da95c30d03cb80d11ebb6b4214737fe96954e694b1890',X'0830c79f133df8025a223f72c284e9a1');
INSERT INTO audit_records VALUES(18,1735787091.1382949352,'admin','i67dmi4jz3veqy','policies:write','secrets/shop','allowed','{"next_at":1738379088.6429424,"operation":"set"}','testclient',0,'7da7b06ab7a3c32dc6beaf35c37e55bd',X'31cbaaa4c2c73d86266da95c30d03cb80d11ebb6b4214737fe96954e694b1890',X'fbe2db1b81036d66b4d9aa37381c36e57a78cbfc4cd66ba37a3e66ab624117fb',X'124e4744e5883bbe108542b8ac7cb2e8');
INSERT INTO audit_records VALUES(19,1735787093.4843840598,'admin','i67dmi4jz3veqy','secrets:rotate','secrets/shop','allowed','{"digest":"32979eedc3d795e05c8d2594f3a017f1","immediate":false,"keys":["COLOUR","DB_PASSWORD","JWT_SECRET"],"operation":"rotate","rotation_id":"30c07bac-5800-4fc0-bb08-5f0cb3069e7c","version":2}','testclient',0,'0faeb4409d7bdb9f09d5413afe5c894d',X'fbe2db1b81036d66b4d9aa37381c36e57a78cbfc4cd66ba37a3e66ab624117fb',X'9e10d6fee7031c95f015aeca82aa34ac97aff29f95f38268dd68477116311fc3',X'376b66eb91120081648e95ab6181cddf');
INSERT INTO audit_records VALUES(20,1735787096.4155120849,'admin','i67dmi4jz3veqy','grants:write','secrets/shop','allowed','{"identity":"example-consumer","operation":"grant"}','testclient',0,'4f8c119a266930b264474c585581df0c',X'9e10d6fee7031c95f015aeca82aa34ac97aff29f95f38268dd68477116311fc3',X'7f4f89866518d7d6c3ac26b507c322d4ef659b791977ab200f99de823a28460e',X'f483fb0bcf92723bbc0d71b885c0ada8');
INSERT INTO audit_records VALUES(21,1735787097.028247118,'admin','','tokens:issue','identities/admin','allowed','{"audience":["secrets-manager","notification","gateway-lookup"],"key_id":"i67dmi4jz3veqy"}','testclient',0,'7360ca21e264a6e17bd9ed9e66c8600f',X'7f4f89866518d7d6c3ac26b507c322d4ef659b791977ab200f99de823a28460e',X'dea930803ad8be18bdc31c45cc72a199d0e363cb6c23c0d7b3317dadef55aeee',X'dfaf4eee62c34a3861952ac13e8c5d50');
INSERT INTO audit_records VALUES(22,1735787097.9983949661,'admin','i67dmi4jz3veqy','identities:create','identities/bob','allowed','{"kind":"person","remote":true,"roles":["viewer"]}','testclient',0,'167101585c25f174ae361b24c40fa070',X'dea930803ad8be18bdc31c45cc72a199d0e363cb6c23c0d7b3317dadef55aeee',X'26d32f21337746873cc6adaafcf4f72393a61a438a91e2e5a4f5c81baa90b034',X'f6ff71e27904854c8db54a9c33852176');
INSERT INTO audit_records VALUES(23,1735787099.9878189564,'admin','i67dmi4jz3veqy','keys:create','identities/bob','allowed','{"audiences":[],"expires_at":null,"key_id":"822coxwxmj2uo4"}','testclient',0,'13fed969c81d9d251374e6c22e859584',X'26d32f21337746873cc6adaafcf4f72393a61a438a91e2e5a4f5c81baa90b034',X'312c780eb4e039269c83348aeaf6d0153ab5ea347309a236723765ead047c41b',X'f7c0900f6f7d1fbf8f38ac82e0cde707');
INSERT INTO audit_records VALUES(24,1735787100.6650509834,'admin','i67dmi4jz3veqy','keys:revoke','identities/bob','allowed','{"key_id":"822coxwxmj2uo4"}','testclient',0,'a5b2be5b9a05864a4cef30e013b2bbfd',X'312c780eb4e039269c83348aeaf6d0153ab5ea347309a236723765ead047c41b',X'8afd54ae727b55fc3fe878c7345bde1621a5dc705783a0a1ad910f8bdb3740f3',X'06fd96f8fa8321bced45fdb996eec103');
INSERT INTO audit_records VALUES(25,1735787102.0101120471,'admin','i67dmi4jz3veqy','secrets:read','secrets/shop','allowed','{"instance_id":"11111111111111111111111111111111","version":2}','testclient',0,'0ea5791485608147cca4a8574615978a',X'8afd54ae727b55fc3fe878c7345bde1621a5dc705783a0a1ad910f8bdb3740f3',X'd11e50821faa8fa95d3ffa5fb3cdf306711b80cb32f5eb2d61195b5e5da067ad',X'4ad7dd6ad5fee4efb2c2b7c7018e30e1');
INSERT INTO audit_records VALUES(26,1735787103.2781360149,'admin','i67dmi4jz3veqy','audit:verify','audit','allowed','{"intact":true,"records":25}','testclient',0,'7bc8652056f992f451a592e2c6d3b59b',X'd11e50821faa8fa95d3ffa5fb3cdf306711b80cb32f5eb2d61195b5e5da067ad',X'bc85156ef0c4547b8247a36c61503663634a4b58c4ca8b2ff0f26dcfd742d5ad',X'57859f18a2612102443d80643e9d7ac8');
CREATE TABLE audit_segments (
	number INTEGER NOT NULL, 
	first INTEGER NOT NULL, 
	last INTEGER NOT NULL, 
	previous BLOB NOT NULL, 
	hash BLOB NOT NULL, 
	sealed_at DOUBLE NOT NULL, 
	exported_at DOUBLE, 
	pruned_at DOUBLE, 
	signature BLOB NOT NULL, 
	CONSTRAINT pk_audit_segments PRIMARY KEY (number)
);
CREATE TABLE idempotency_keys (
	caller VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	fingerprint BLOB NOT NULL, 
	service_name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	rotation_id VARCHAR, 
	created_at DOUBLE NOT NULL, 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (caller, "key")
);
CREATE TABLE identities (
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	roles VARCHAR NOT NULL, 
	remote BOOLEAN NOT NULL, 
	description VARCHAR NOT NULL, 
	created_at DOUBLE NOT NULL, 
	created_by VARCHAR NOT NULL, 
	revoked_at DOUBLE, 
	mac BLOB NOT NULL, 
	CONSTRAINT pk_identities PRIMARY KEY (name)
);
INSERT INTO identities VALUES('admin','person','admin',1,'The first admin',1735787054.7032682895,'secrets-manager',NULL,X'b01ddc87d968221983f1035b7bde51325fdb44f942c90a29d601be10a24bb113');
INSERT INTO identities VALUES('notification','service','service',0,'',1735787054.766044855,'secrets-manager',NULL,X'6005a87e99727cff3ca8e0f10aa7b601b47bddd56db40cd3e16a6b8c935c525b');
INSERT INTO identities VALUES('gateway-lookup','service','service',0,'',1735787054.8422210217,'secrets-manager',NULL,X'5b6db36d82d12d79d295436a769add821732eef5178be0cf9959bceba1228713');
INSERT INTO identities VALUES('example-consumer','service','service',0,'',1735787054.9047756194,'secrets-manager',NULL,X'a9777d0339ffb616ed08c22a4a91629a552295f7fcf72e2dea91bc31d2df59c5');
INSERT INTO identities VALUES('ada','person','operator',1,'',1735787069.2749607562,'admin',NULL,X'bfd5da1af0303a7d00d0557734a67a718d42bfd4fd9bcce9dd61e65aaee0e6a5');
INSERT INTO identities VALUES('bob','person','viewer',1,'',1735787097.9981751441,'admin',NULL,X'2374a039d4a627fd55cee6e835966542d52dd731275ba57a9c0c762d85ca8ba4');
CREATE TABLE key_ring (
	id INTEGER NOT NULL, 
	wrapped BLOB NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	CONSTRAINT pk_key_ring PRIMARY KEY (id)
);
INSERT INTO key_ring VALUES(1,X'c17d9d996ac318a3e71af620c41c8cd4327c2498ec06f99110f38d074889356148005effde5bfcf4df71298eaf3efdff968f7a0fc3be2a2820e909c4f8fab411c39f7ee84aa4acc8cee8f2449c6d558adaab5ef69824b4e0ccd2b6c72e50950b84838aa4a980aafa335bd80f0ade229b71a01a0b913ce5d24190456595b0ef9ec9168a6a9478a7fd74cf2b364d84bfde1c1da945820c5c',1735787053.6614534854);
CREATE TABLE outbox (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	subject VARCHAR(255), 
	data JSON NOT NULL, 
	recipient VARCHAR(63), 
	created_at DATETIME NOT NULL, 
	refused VARCHAR(255), 
	CONSTRAINT uq_outbox_id UNIQUE (id)
);
INSERT INTO outbox VALUES(7,'746a8512-ed36-4d7a-aea3-ca86c2174836','audit.anchored',NULL,'{"seq": 26, "hash": "bc85156ef0c4547b8247a36c61503663634a4b58c4ca8b2ff0f26dcfd742d5ad", "at": 1735787103.812, "signature": "KgybLYDABqdLZBjGobK9Ucj/0fTptgwBJ0fEcNTfadJXZXwSnjs5tM+g0oUmWUsNJ/vnUBFWPG2bkNAi2IyOCQ=="}',NULL,'2025-01-02 03:05:03.811985',NULL);
CREATE TABLE platform_facts (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	CONSTRAINT pk_platform_facts PRIMARY KEY (name)
);
INSERT INTO platform_facts VALUES('epoch','ad7179ea');
CREATE TABLE platform_keys (
	name VARCHAR NOT NULL, 
	certificate VARCHAR NOT NULL, 
	sealed BLOB NOT NULL, 
	created_at DOUBLE NOT NULL, 
	CONSTRAINT pk_platform_keys PRIMARY KEY (name)
);
INSERT INTO platform_keys VALUES('audit','',X'0100000001672041411dcc6e48838d5f876811012f9084499ba79562f2c3d5efa112ea406ecf12405eab961934d55ed13bc166a1f0a4d9bd0ba646a0c79745b7d6acfbaa5fa879e608a1a9fc773df35b5bdff264e7576c61b876182ed9c4ee45b2a6c8ba0d4fb901748b0e563513161a2b8ba00ce68810a95b297e099f',1735787053.7098283767);
INSERT INTO platform_keys VALUES('ca',replace('-----BEGIN CERTIFICATE-----\nMIIBiDCCAS+gAwIBAgIUBb9aTkrlyUVksqPs0Llo8r9kgEEwCgYIKoZIzj0EAwIw\nITEfMB0GA1UEAwwWRm91bnRhaW5BSSBwbGF0Zm9ybSBDQTAeFw0yNTAxMDIwMjU5\nMTNaFw0zNDEyMzEwMzA0MTNaMCExHzAdBgNVBAMMFkZvdW50YWluQUkgcGxhdGZv\ncm0gQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT0MmSFe4hhOqh3AhVGBqx0\nAC4j2+9fXWe5EW/ydBcembPbm4K6DNu98iCRp8W/174VrC7mhDjLMMEs602OJC85\no0UwQzASBgNVHRMBAf8ECDAGAQH/AgEAMA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4E\nFgQUjPEJ7tct1NHHSJw7LslcqLzzl5UwCgYIKoZIzj0EAwIDRwAwRAIgU68U9KP1\nyFZS3DxahyEz+MueSL1bXs4Zp65YhmmUpT0CIAoOaEU/JUWhdLf8Z2ALQh5wU4mu\nxsrWUONrkYFec/Z2\n-----END CERTIFICATE-----\n','\n',char(10)),X'01000000015d75f1fe13224a023b7ca8cbc5a2c32af5a6c0a995d6da726fc0df1bf85f9ecf90c4cec913edd514c85a5271c805d841f6dbbe7ebe5409b9f9c489a577e5bb3d6d24ed46019506d43aac11e5cf5d0f4d14cba69d16be247bfd0f7e2a6da9a5593ee443f9f14109cbf0682ce9ce3c3678148eaa7161e083f8d4b4dc405c739d585e909df94898f47cbc54540a78da7fc8a9633089b9d9079e6f58e5f9a8ea45e03832acfa9b95e103733aefc811a882f861dcbf8b72c67fdc674199bdb1d546793884bebea48154d88a62463766b5b633f80b2b93e12ce857ecae9583e70ff639247b',1735787053.726780653);
CREATE TABLE revocations (
	kind VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	not_before DOUBLE NOT NULL, 
	expires_at DOUBLE NOT NULL, 
	CONSTRAINT pk_revocations PRIMARY KEY (kind, value)
);
INSERT INTO revocations VALUES('key_id','822coxwxmj2uo4',1735787101.0,1735788060.5908160209);
CREATE TABLE rotation_policies (
	service_name VARCHAR NOT NULL, 
	cron VARCHAR, 
	interval_seconds INTEGER, 
	overlap_seconds DOUBLE NOT NULL, 
	deadline_seconds DOUBLE NOT NULL, 
	next_at DOUBLE, 
	updated_at DOUBLE NOT NULL, 
	CONSTRAINT pk_rotation_policies PRIMARY KEY (service_name), 
	CONSTRAINT fk_rotation_policies_service_name FOREIGN KEY(service_name) REFERENCES secrets (service_name)
);
INSERT INTO rotation_policies VALUES('shop',NULL,2592000,0.0,300.0,1738379088.6429424286,1735787088.6429424286);
CREATE TABLE rotations (
	position INTEGER NOT NULL, 
	rotation_id VARCHAR NOT NULL, 
	service_name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	previous_version INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	overdue BOOLEAN NOT NULL, 
	created_at DOUBLE NOT NULL, 
	deadline_at DOUBLE NOT NULL, 
	deadline_seconds DOUBLE NOT NULL, 
	overlap_seconds DOUBLE NOT NULL, 
	activated_at DOUBLE, 
	draining_since DOUBLE, 
	retired_at DOUBLE, 
	reason VARCHAR NOT NULL, 
	requested_by VARCHAR NOT NULL, 
	last_holders VARCHAR, 
	CONSTRAINT pk_rotations PRIMARY KEY (position), 
	CONSTRAINT fk_rotations_service_name FOREIGN KEY(service_name) REFERENCES secrets (service_name), 
	CONSTRAINT uq_rotations_rotation_id UNIQUE (rotation_id)
);
INSERT INTO rotations VALUES(1,'30c07bac-5800-4fc0-bb08-5f0cb3069e7c','shop',2,1,'retired',0,1735787091.4869966506,1735787391.4869966507,300.0,0.0,1735787091.4869966506,1735787091.4869966506,1735787091.4869966506,'rotate','admin','[]');
CREATE TABLE secret_grants (
	service_name VARCHAR NOT NULL, 
	identity VARCHAR NOT NULL, 
	granted_by VARCHAR NOT NULL, 
	granted_at DOUBLE NOT NULL, 
	mac BLOB NOT NULL, 
	CONSTRAINT pk_secret_grants PRIMARY KEY (service_name, identity)
);
INSERT INTO secret_grants VALUES('shop','example-consumer','admin',1735787096.414088726,X'eee3cba633e38b2b003230ef2b62268f1d1af32b9d9fc24cf81a4f9eeda61574');
CREATE TABLE secret_holders (
	service_name VARCHAR NOT NULL, 
	identity VARCHAR NOT NULL, 
	instance_id VARCHAR NOT NULL, 
	accepts INTEGER NOT NULL, 
	uses INTEGER NOT NULL, 
	since DOUBLE NOT NULL, 
	CONSTRAINT pk_secret_holders PRIMARY KEY (service_name, identity, instance_id), 
	CONSTRAINT fk_secret_holders_service_name FOREIGN KEY(service_name) REFERENCES secrets (service_name)
);
INSERT INTO secret_holders VALUES('shop','admin','11111111111111111111111111111111',2,2,1735787102.0004034042);
CREATE TABLE secret_versions (
	service_name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	sealed BLOB, 
	created_at DOUBLE NOT NULL, 
	created_by VARCHAR NOT NULL, 
	changed_at DOUBLE NOT NULL, 
	CONSTRAINT pk_secret_versions PRIMARY KEY (service_name, version), 
	CONSTRAINT fk_secret_versions_service_name FOREIGN KEY(service_name) REFERENCES secrets (service_name)
);
INSERT INTO secret_versions VALUES('notification',1,'active',X'01000000019cb5a934e93f8d20d70deaa59c6df1f3e9984b9c7a3fa8b9d6bf5d06729d70655c00e9312ccc8bae9fb9eda8989097200ac6d554c48b053cde06e8a70856377c950a462b4db6c4f40dab050cd1820f6c26b4b0d472b778a4cdf7ee98809c28be32971457d72ea362a9446fbb09da3633d1f4aea14d84891f2cfeda0ec38daca087daec4ead115368d0043aed6deabdf82cfebb77e5d9daf5fd14bc859b63e919b634b11f2abc289e866036d368968ce297c6634b018a2d9c1f04750f8e640c3d8968186da80ee5690abebd037c46337f9fe7d40f4bd5b3f670de60511d79a55a3866ccc8c16a345d37b11576841bf6515eeb0ac32f73315f8a601c004f3777289b7a4d8584ac07f150ad2a35e8da6803c5e9b77b096929f638687698820d7fdf1401279ca4840ef702bdb1a5565170bbb36c8efffab08a684cfbca6be2db5c0c9c9542370c31fc1f14d9120ad1d48f0de2d8f13ee717f2a43b6bee09c0d03103383158b28283425576',1735787054.7680387496,'secrets-manager',1735787054.7680387496);
INSERT INTO secret_versions VALUES('gateway-lookup',1,'active',X'010000000185d72e71dade991cf61dc0015d7b4a0d719d6ee148e6ae65b3b0f535093177910646058f9fc4d4d588b7df87aaa767b53e90685ef0607bb48a09c6d9c2e7dffe223538c84150b74f0ef29e58e6692e57b9937e0ad7b57153a3f5007de603d931accd4708ba803d31cfef22c15514f96857f3b451afc26050d1a57b0826822b0d3a3e0c2c4baecbc7f17a9fcf0c5b575a9e82f75a6a72c9250176e5f8d69f980b0ea9f6168fed8f434c6adda7e4f1cbe6d5973ad2ee1a8453727cc9b65214047fd0ecd1c3278e5212568b1d4283aed8c9f0892494f2a962e99b3f4000f6528529e819f5fb3dcff35099827347774f6d436337e4c1be9f1c55453e78c6758df7bed7a76ceb20f3ab6c84cc23e7a745be16824cd3989a71626f83218fb70a6f47f84cf6a4bc',1735787054.8431446552,'secrets-manager',1735787054.8431446552);
INSERT INTO secret_versions VALUES('example-consumer',1,'active',X'01000000013502bf4f859ab76d8aa3669cf75f5a96c797a987c3cd14a878d1b68d56c85804b12136b140a0e39a96498ec3b1eb92f9188cfc6522c95b9a6ab19f3e60e51289759505a645641776829e665d12e41243a85922a8664f2c2de75604ea1f2b0a28fdfc42fc14c47fceace552a0dcb2361a2e6bae4c6d1d8cfd84124f23456d74edea8380220c8790ca653c90ea4149e953392198ca5a27b9603f10f5200a19c7ede572012a0c94e5866b6d178118a33c7466b329dd5985bf7cea98cc8420d10fd3ed5732e5f8898c846794d7ea3bfb1fbb9984d34e1b8991da5e24e820d19ab9778113bb5f3093823a32b086fd5325ba5522b9eefd67d770186a6197162867e5e46273421eb2ae9fed07aaaad50a5d3f4a84ae05301bc3e4eeb13f89b5859287cffb98ed2f',1735787054.9067533016,'secrets-manager',1735787054.9067533016);
INSERT INTO secret_versions VALUES('shop',1,'retired',X'010000000172ff09fbe90997288f6e5725a8c1151fce52e17d43674182cd46afe512d38fdab3ba8545e4d18aeedc82564fc33d32bc0219dbb91bbc633733d2f1a55946fe258b516a47ba7024414f4881438e4653cb08b38f3c3b81a08899d5d9491bbd0bd3547ce5031668c9d8ad7b39bebb6d617008a58a116ebf36d0bd7731611bb9f84826adfdf668b5da79bc1759811fdd013ef2a5553041a426ec113530a92109cd99b03e2b405bcc442aac1ab267c778bb4664384a874c1c4031c998ce12ea66bffe08d79ef37e19ee475c65aaaf2c9e407ec291cc89ce7bcdc96d725ba1ffed6885fcda94855b75dc5d1c73c464b6c0813097622209b9a8201f65c111ba3d39cb0036aae7089a600ec069a5a8e3ddbd3141142a7d38a4f1eb574fb0c4033dc638be9f70de1aa2eda248193fb21f4558fa672ae81b8b8276bd248aaa',1735787085.14067626,'admin',1735787091.4869966506);
INSERT INTO secret_versions VALUES('shop',2,'active',X'0100000001420e517993732518ab2ccc0fd04e66cdcd50d83992d515434cc8d6a329c61f7d1634e55ac7887646b18c5b4a9975ec00fe3f17558e6ed35f2f980e4a0be31b1ff70a59211bec822e888dd14892d6a762ecf74ed5fcf53c6f31330331bfa7929664211d1d878a9b8765eab25dcef342a33182d85d5fc397907393ba354649f27e4f044b7d9b4aa1b1d0462591e757162878ce55b5eca402355e6cc671159cd7b7e0289111e6edce8acc8aad1ecde3eb421a2b5025d9c7cd48c97f62eeae7fe57f98b3178509fa4f2eb1a30294dceb517548b44afbcfa7a6175486f39e57faf9ef34fdcb29c4d47db0c3b134c7f65e347d4a94b26c5fa43e4c6bf9acbbd4b097f13370269d6c46a7909b03e85ab63b9bd416682749e171223bfbaa7ca973c1f32e434665df3bff9e03aa34f9452cde57c2080fad3c5e94ab0c3ef6',1735787091.4869966506,'admin',1735787091.4869966506);
CREATE TABLE secrets (
	service_name VARCHAR NOT NULL, 
	newest_version INTEGER NOT NULL, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	revoked_at DOUBLE, 
	CONSTRAINT pk_secrets PRIMARY KEY (service_name)
);
INSERT INTO secrets VALUES('notification',1,1735787054.7680387496,1735787054.7680387496,NULL);
INSERT INTO secrets VALUES('gateway-lookup',1,1735787054.8431446552,1735787054.8431446552,NULL);
INSERT INTO secrets VALUES('example-consumer',1,1735787054.9067533016,1735787054.9067533016,NULL);
INSERT INTO secrets VALUES('shop',2,1735787085.14067626,1735787091.4869966506,NULL);
CREATE TABLE signing_keys (
	kid VARCHAR NOT NULL, 
	sealed BLOB NOT NULL, 
	created_at DOUBLE NOT NULL, 
	signs_from DOUBLE NOT NULL, 
	published_until DOUBLE, 
	mac BLOB NOT NULL, 
	CONSTRAINT pk_signing_keys PRIMARY KEY (kid)
);
INSERT INTO signing_keys VALUES('OXAKsJBEqYl9g_a0vYzpURxmzCemE08tt9abdftdTsw',X'010000000115619f001bc7fe86a2037fb751626f797a4b075d344f1b1b83d75800cba72f1cf6facb3be780e89102945caf13b8af13b2a77b9e437275501867c784a0342201114a7d0db89d92531bf2e7243565cb7e80771d18599306b60b1e6554f010d041c1a8f651a3dc18fc6658c795aa72f6cdb3b1344e2b9afa7c',1735787054.2064886093,1735787054.2064886093,NULL,X'cc240f43731b4457f991bfd40d02644bd2b04ecdeed75f623b106d9e9b977256');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('outbox',7);
CREATE INDEX ix_audit_records_action ON audit_records (action);
CREATE INDEX ix_audit_records_at ON audit_records (at);
CREATE INDEX ix_audit_records_caller ON audit_records (caller);
CREATE INDEX ix_audit_records_target ON audit_records (target);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_revocations_expires_at ON revocations (expires_at);
CREATE INDEX ix_api_keys_identity ON api_keys (identity);
CREATE INDEX ix_rotation_policies_next_at ON rotation_policies (next_at);
CREATE INDEX ix_rotations_service_name_state ON rotations (service_name, state);
CREATE INDEX ix_rotations_state ON rotations (state);
CREATE INDEX ix_secret_versions_held ON secret_versions (service_name, version) WHERE state IN ('staged', 'active', 'draining');
COMMIT;
