package consolesim

// The names of the data set. They are constant.

// branch is a department with the departments below it.
type branch struct {
	name, description string
	children          []branch
}

// companySeed is a company to be seeded.
type companySeed struct {
	name, description, edition string
	tags                       []string
	chinese, english           bool // languages of its names
	root                       branch
}

// mainDepartment is the name of the department that holds most of the data, in the first company.
const mainDepartment = "财务共享中心 Finance Shared Services"

func companySeeds() []companySeed {
	return []companySeed{
		{
			name: "云帆制造集团", description: "Yunfan Manufacturing Group: plants, logistics and shared services",
			edition: "Enterprise", tags: []string{"制造", "manufacturing"}, chinese: true, english: true,
			root: branch{"云帆制造集团", "Headquarters", []branch{
				{mainDepartment, "Accounting for all plants", []branch{
					{"应付账款 Accounts Payable", "Suppliers' invoices", nil},
					{"应收账款 Accounts Receivable", "Customers' payments", nil},
					{"税务 Tax", "VAT and filings", nil},
				}},
				{"人力资源 Human Resources", "People and payroll", []branch{
					{"招聘 Recruiting", "Candidates", nil},
					{"薪酬 Payroll", "Monthly payroll", nil},
				}},
				{"供应链 Supply Chain", "Purchasing and warehouses", []branch{
					{"采购 Purchasing", "Orders to suppliers", nil},
					{"仓储 Warehousing", "Stock and shipping", nil},
				}},
				{"信息技术 IT", "Systems and service desk", nil},
			}},
		},
		{
			name: "Harbour & Vale Logistics", description: "Freight forwarding and customs brokerage",
			edition: "Enterprise", tags: []string{"logistics"}, english: true,
			root: branch{"Harbour & Vale Logistics", "Head office", []branch{
				{"Operations", "Bookings and tracking", []branch{
					{"Sea Freight", "Containers", nil},
					{"Air Freight", "Express and charter", nil},
					{"Customs", "Declarations", nil},
				}},
				{"Finance", "Billing and treasury", []branch{
					{"Billing", "Outgoing invoices", nil},
				}},
				{"Customer Service", "Quotes and claims", []branch{
					{"Claims", "Damages and losses", nil},
				}},
			}},
		},
		{
			name: "启明零售", description: "连锁零售与电商", edition: "Community", tags: []string{"零售"}, chinese: true,
			root: branch{"启明零售", "总部", []branch{
				{"门店运营", "全国门店", []branch{
					{"华东大区", "上海、江苏、浙江", nil},
					{"华南大区", "广东、广西、福建", nil},
				}},
				{"电子商务", "线上渠道", []branch{
					{"客户服务", "退换货与投诉", nil},
				}},
				{"财务部", "核算与资金", nil},
				{"商品部", "选品与定价", nil},
			}},
		},
	}
}

// process is a business process that is automated.
type process struct {
	english, chinese, description, tag string
}

func processes() []process {
	return []process{
		{"Invoice matching", "发票核对", "Matches suppliers' invoices with orders and receipts", "finance"},
		{"Bank reconciliation", "银行对账", "Compares bank statements with the ledger", "finance"},
		{"Expense audit", "费用报销审核", "Checks expense claims against policy", "finance"},
		{"VAT filing", "增值税申报", "Prepares and submits the VAT return", "tax"},
		{"Month-end closing", "月末结账", "Runs the closing checklist", "finance"},
		{"Payroll run", "工资核算", "Collects attendance and calculates pay", "hr"},
		{"Onboarding", "员工入职", "Creates accounts and mailboxes for new colleagues", "hr"},
		{"CV screening", "简历筛选", "Reads applications and ranks them", "hr"},
		{"Attendance report", "考勤汇总", "Collects clock times of all sites", "hr"},
		{"Purchase order entry", "采购订单录入", "Enters orders that arrive by mail", "supply-chain"},
		{"Supplier onboarding", "供应商准入", "Collects and checks suppliers' papers", "supply-chain"},
		{"Stock level check", "库存盘点", "Compares stock with minimum levels", "supply-chain"},
		{"Shipment tracking", "物流跟踪", "Reads carriers' portals", "logistics"},
		{"Customs declaration", "报关单录入", "Fills in declarations from shipping documents", "logistics"},
		{"Price monitoring", "竞品价格监控", "Watches competitors' shops", "sales"},
		{"Order import", "订单导入", "Moves web shop orders into the ERP", "sales"},
		{"Refund processing", "退款处理", "Approves and books refunds", "sales"},
		{"Credit check", "信用审查", "Queries registers before a contract", "risk"},
		{"Contract archiving", "合同归档", "Names, tags and files contracts", "legal"},
		{"Dunning letters", "催款函发送", "Sends reminders for open items", "finance"},
		{"Cash forecast", "资金预测", "Builds the thirteen-week forecast", "treasury"},
		{"FX rate update", "汇率更新", "Loads the day's rates into all systems", "treasury"},
		{"Master data cleanup", "主数据清洗", "Finds and merges duplicates", "it"},
		{"Ticket triage", "工单分派", "Reads tickets and routes them", "it"},
		{"Backup verification", "备份校验", "Restores samples and compares them", "it"},
		{"Licence audit", "软件许可盘点", "Compares installations with licences", "it"},
		{"Daily sales report", "销售日报", "Builds and mails the figures", "reporting"},
		{"Board report", "经营分析报告", "Collects figures of all subsidiaries", "reporting"},
		{"Claims intake", "理赔受理", "Opens a file for each damage report", "service"},
		{"Return label printing", "退货面单打印", "Creates labels for returns", "service"},
		{"Meter reading import", "电表抄录", "Moves meter readings into the ERP", "facility"},
		{"Quality certificates", "质检证书归档", "Fetches and files certificates", "quality"},
		{"Travel booking", "差旅预订", "Books what was approved", "hr"},
		{"Fixed asset count", "固定资产盘点", "Compares the register with scans", "finance"},
		{"Intercompany clearing", "往来抵消", "Clears balances between companies", "finance"},
		{"E-invoice download", "电子发票下载", "Fetches invoices from the tax platform", "tax"},
	}
}

// site is where a process runs.
type site struct{ english, chinese string }

func sites() []site {
	return []site{
		{"", ""}, {"Shanghai plant", "上海工厂"}, {"Suzhou plant", "苏州工厂"}, {"Shenzhen", "深圳分公司"},
		{"Chengdu", "成都分公司"}, {"Rotterdam", "鹿特丹"}, {"Hamburg", "汉堡"}, {"weekly", "每周"},
		{"nightly", "夜间"}, {"pilot", "试点"}, {"backlog", "积压"}, {"north", "北区"},
	}
}

// person is a user who created or changed entities.
type person struct{ name, mail string }

func people() []person {
	return []person{
		{"李明", "liming"}, {"Emma Fischer", "emma.fischer"}, {"王芳", "wangfang"}, {"Tom Baker", "tom.baker"},
		{"陈静", "chenjing"}, {"Ana Souza", "ana.souza"}, {"赵磊", "zhaolei"},
	}
}

func argumentSets() [][]Argument {
	return [][]Argument{
		{
			{Name: "inputFolder", Type: "System.String", Direction: "In", DefaultValue: `D:\rpa\in`},
			{Name: "batchSize", Type: "System.Int32", Direction: "In", DefaultValue: "50"},
			{Name: "processedCount", Type: "System.Int32", Direction: "Out"},
		},
		{
			{Name: "erpAccount", Type: "Encoo.Asset.Credential", Direction: "In",
				Asset: &AssetContent{Name: "erp-account", Description: "ERP 登录账号", IsRequiredEncryption: true}},
			{Name: "postingDate", Type: "System.DateTime", Direction: "In"},
		},
		{
			{Name: "recipients", Type: "System.String", Direction: "In", DefaultValue: "finance@example.com"},
			{Name: "state", Type: "System.String", Direction: "InOut", DefaultValue: "new"},
			{Name: "portalUrl", Type: "System.String", Direction: "In",
				Asset: &AssetContent{Name: "portal-url", Description: "Address of the supplier portal"}},
		},
		nil,
	}
}
